"""What `Mesh.peer_report` and `Mesh.network` tell, of the real machine in a simulated network."""

from __future__ import annotations

import pytest
from tests.sim.host import Host
from tests.sim.nat.behaviour import SYMMETRIC, Nat
from tests.sim.world import World

from shadowmesh.mesh.errors import NotTrusted
from shadowmesh.mesh.outputs import ConnectFailed, NetworkChecked
from shadowmesh.mesh.state import PeerState
from shadowmesh.paths.candidates import CandidateKind
from shadowmesh.paths.nat_behaviour import Mapping
from shadowmesh.paths.punch_plan import Role


def test_of_a_connected_peer_the_report_has_the_probe_that_was_answered() -> None:
    world, alice, bob = a_pair(Nat(), SYMMETRIC)
    world.run_until(lambda: alice.is_connected(bob), limit_s=20)
    report = alice.machine.peer_report(bob.peer_id)
    assert report.status.state is PeerState.CONNECTED
    assert (report.has_record, report.online) == (True, True)
    assert CandidateKind.SERVER_REFLEXIVE in [each.kind for each in report.told]
    assert report.punch is not None
    assert (report.punch.role, report.punch.found) == (Role.SPRAY, True)
    first = report.punch.probed[0]
    assert (first.kind, first.probes_sent) == (CandidateKind.PEER_REFLEXIVE, 1)
    assert first.endpoint == report.status.path
    assert first.rtt_s is not None
    assert first.rtt_s > 0


def test_of_two_hard_nats_the_report_says_that_nothing_answered_and_why() -> None:
    world, alice, bob = a_pair(SYMMETRIC, SYMMETRIC)
    alice.connect(bob)
    world.run_until(lambda: any(isinstance(each, ConnectFailed) for each in alice.outputs), limit_s=60)
    report = alice.machine.peer_report(bob.peer_id)
    assert report.attempt is not None
    assert report.attempt.called
    assert report.attempt.tried
    assert report.punch is not None
    assert (report.punch.role, report.punch.found) == (Role.NONE, False)
    assert report.peer_nat.mapping is Mapping.ADDRESS_AND_PORT_DEPENDENT
    (failure,) = [each for each in alice.outputs if isinstance(each, ConnectFailed)]
    assert failure.reason.startswith("relay needed: both routers choose another port for each peer")


def test_of_a_peer_that_was_never_tried_there_is_nothing_to_tell() -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    report = alice.machine.peer_report(bob.peer_id)
    assert (report.attempt, report.punch, report.told) == (None, None, ())
    with pytest.raises(NotTrusted):
        alice.machine.peer_report(alice.peer_id)


def test_a_check_of_the_network_measures_every_backbone_node() -> None:
    world = World(backbones=3)
    alice = world.host("alice", nat=Nat())
    alice.start()
    world.run_for(5)
    alice.outputs.clear()
    alice.feed(lambda mesh, now: mesh.check_network(now))
    world.run_until(lambda: NetworkChecked() in alice.outputs, limit_s=10)
    report = alice.machine.network()
    assert {each.url for each in report.observers} == {backbone.url for backbone in world.backbones}
    assert all(each.mapped is not None and each.rtt_s is not None and each.rtt_s > 0 for each in report.observers)
    assert (report.nat.mapping, report.link_online, report.is_asking) == (Mapping.ENDPOINT_INDEPENDENT, True, False)


def test_without_a_backbone_a_check_ends_at_once_and_empty() -> None:
    world = World(backbones=0)
    alice = world.host("alice", pins=())
    alice.start()
    alice.feed(lambda mesh, now: mesh.check_network(now))
    assert NetworkChecked() in alice.outputs
    assert alice.machine.network().observers == ()


def a_pair(one: Nat, other: Nat) -> tuple[World, Host, Host]:
    world = World()
    alice, bob = world.pair(nats=(one, other))
    alice.start()
    bob.start()
    world.run_for(5)
    return world, alice, bob
