"""What the outputs of one part mean to another. Whole meshes are in test_machine.py and tests/sim."""

from __future__ import annotations

from tests.sim.chance import SeededEntropy
from tests.sim.world import WALL_START, identity_number

from shadowmesh.mesh.outputs import ClosePorts, OpenPorts, Output
from shadowmesh.mesh.parts import Parts
from shadowmesh.mesh.state import MeshConfig, SavedState
from shadowmesh.wire import stun
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.transmit import Transmit

SERVERS = [Endpoint.of("198.19.0.1", 3478), Endpoint.of("198.19.0.1", 3479), Endpoint.of("198.19.0.2", 3478)]


def test_the_nat_is_tested_from_ports_that_the_shell_opens_and_closes() -> None:
    parts = made()
    parts.presence.set_servers(SERVERS, 0.0)
    parts.drain(0.0)
    for number, request in enumerate(transmits(drained(parts))):
        mapped = Endpoint.of("203.0.113.5", 5000 + 7919 * number)
        answer = stun.encode_binding_success(stun.decode(request.payload).transaction_id, mapped)
        parts.presence.receive_stun(answer, request.destination, 0, 0.1)
    parts.drain(0.1)
    (order,) = [output for output in drained(parts) if isinstance(output, OpenPorts)]
    assert order.peer is None
    ports = list(range(50_000, 50_000 + order.count))
    parts.presence.ports_opened(ports, 0.1)
    parts.drain(0.1)
    assert {request.via for request in transmits(drained(parts))} == set(ports)
    while (at := parts.presence.next_timeout()) < 5.0:
        parts.handle_timeout(at)
    closed = [output for output in drained(parts) if isinstance(output, ClosePorts)]
    assert closed == [ClosePorts(tuple(ports))]


def test_what_one_part_ignores_is_counted_for_the_whole() -> None:
    parts = made()
    parts.presence.receive_stun(b"", SERVERS[0], 0, 0.0)
    parts.puncher.receive_datagram(b"", SERVERS[0], 0, 0.0)
    assert sum(parts.all_drops.values()) == 2


def made() -> Parts:
    return Parts(
        identity_number(1),
        MeshConfig(),
        SavedState(),
        entropy=SeededEntropy(1),
        wall_clock=lambda: WALL_START,
        now=0.0,
    )


def drained(parts: Parts) -> list[Output]:
    outputs: list[Output] = []
    while (output := parts.out.poll()) is not None:
        outputs.append(output)
    return outputs


def transmits(outputs: list[Output]) -> list[Transmit]:
    return [output for output in outputs if isinstance(output, Transmit)]
