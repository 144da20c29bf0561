"""From which of our local ports a tunnel's packets leave, behind a NAT that maps each of them anew."""

from __future__ import annotations

from tests.sim.host import Host
from tests.sim.nat.behaviour import SYMMETRIC, Nat
from tests.sim.nat.box import Packet
from tests.sim.nat.ports import Uniform
from tests.sim.world import World

from shadowmesh.backbone_protocol.updates import Call
from shadowmesh.mesh.extra_ports import GRACE_S, SWEEP_INTERVAL_S
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.nat_behaviour import Mapping, NatBehaviour
from shadowmesh.paths.probe_datagram import TXID_BYTES, ProbeDatagram
from shadowmesh.paths.puncher import punch_keys
from shadowmesh.wire.endpoint import Endpoint

TOKEN = bytes(range(16))


def test_a_backbone_node_that_makes_up_a_call_moves_no_packets_to_another_port() -> None:
    """Its forged probes come in through ports that are held for it. Answers to the session's own ones alone move a
    path."""
    world, alice, bob = connected()
    path, port = way(alice, bob)
    make_up_call(alice, bob, path)
    world.run_until(lambda: len(alice.extra_ports) > 100, limit_s=5)
    world.run_for(0.1)
    held = sorted(alice.extra_ports - {port})[:4]
    for number, via in enumerate(held):
        forge_probe(world, alice, bob, path, via, number)
    world.run_for(0.1)
    assert way(alice, bob) == (path, port)
    assert world.data_flows(alice, bob, limit_s=0.5)
    world.run_for(2 * GRACE_S + SWEEP_INTERVAL_S)
    assert alice.extra_ports == {port}
    assert way(alice, bob) == (path, port)
    assert world.data_flows(alice, bob, limit_s=0.5)


def connected() -> tuple[World, Host, Host]:
    """The path leads through a port that Alice held open."""
    world = World()
    alice, bob = world.pair(nats=(SYMMETRIC, Nat(ports=Uniform())))
    alice.start()
    bob.start()
    world.run_until(lambda: alice.is_connected(bob) and bob.is_connected(alice), limit_s=10)
    world.run_for(5)
    assert way(alice, bob)[1] in alice.extra_ports
    return world, alice, bob


def way(host: Host, other: Host) -> tuple[Endpoint, int]:
    assert host.engine is not None
    return host.engine.paths[other.wireguard_key], host.engine.ports[other.wireguard_key]


def make_up_call(callee: Host, caller: Host, outside: Endpoint) -> None:
    candidate = Candidate(CandidateKind.SERVER_REFLEXIVE, outside).encode()
    nat = NatBehaviour(Mapping.ENDPOINT_INDEPENDENT).encode()
    call = Call(peer=caller.peer_id.raw, token=TOKEN, answer=False, candidates=[candidate], nat=nat)
    callee.feed(lambda mesh, now: mesh.update_received(call, now))


def forge_probe(world: World, host: Host, peer: Host, source: Endpoint, via: int, number: int) -> None:
    """In the peer's name, to where the host's NAT shows this port to it."""
    keys = punch_keys(TOKEN, peer.peer_id, host.peer_id)
    probe = ProbeDatagram(keys.tag, bytes([number]) * TXID_BYTES, number)
    sent = host.site.boxes[4].outbound(Packet(Endpoint(host.endpoint.address, via), source), world.now)
    assert sent is not None
    world.network.forge(probe.encode(keys), source, sent.source)
