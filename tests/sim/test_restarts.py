"""A node that restarts has lost its sessions: its peers notice, and traffic flows again within three seconds."""

from __future__ import annotations

import pytest
from tests.sim.flow import Flow
from tests.sim.host import Host
from tests.sim.world import World

from shadowmesh.mesh.outputs import InstallPeer, PeerDisconnected
from shadowmesh.mesh.state import SavedState
from shadowmesh.session.events import Role

REPAIRED_S = 3.0


@pytest.mark.parametrize("restarted", Role)
@pytest.mark.parametrize("remembers", [True, False], ids=["with its cache", "with nothing but its trust"])
@pytest.mark.parametrize(("loss", "seed"), [(0.0, 1), *((0.05, seed) for seed in range(10))])
def test_traffic_flows_again_within_three_seconds_of_a_restart(
    restarted: Role, remembers: bool, loss: float, seed: int
) -> None:
    """Without cache and backbone the restarted node can find nobody: the other side's traffic must bring it back."""
    world, initiator, responder = connected(seed)
    lost, survivor = (initiator, responder) if restarted is Role.INITIATOR else (responder, initiator)
    world.backbone.kill()
    flow = Flow(world, survivor, lost)
    world.run_for(20)
    world.network.weather.loss = loss
    if not remembers:
        lost.disk = SavedState(trusted=lost.disk.trusted, record_sequence=lost.disk.record_sequence)
    lost.restart()
    at = world.now
    world.run_for(60)
    assert flow.gap_after(at) <= REPAIRED_S
    assert loss or not [output for output in survivor.outputs if isinstance(output, PeerDisconnected)]


def test_a_flow_that_needs_no_answers_brings_probes_and_no_handshakes() -> None:
    world, alice, bob = connected(1)
    world.run_for(20)
    before = [len(psks(host)) for host in (alice, bob)]
    Flow(world, alice, bob, answered=False)
    world.run_for(60)
    assert [len(psks(host)) for host in (alice, bob)] == before


def psks(host: Host) -> set[bytes]:
    return {output.psk for output in host.outputs if isinstance(output, InstallPeer)}


def connected(seed: int) -> tuple[World, Host, Host]:
    """The one that has begun the session comes first."""
    world = World(seed)
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    installed = [output for output in alice.outputs if isinstance(output, InstallPeer)]
    return (world, alice, bob) if installed[-1].initiate else (world, bob, alice)
