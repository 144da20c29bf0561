"""A peer whose keys or capabilities change: a fresh handshake, while the old session goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.sim.backbone import Client
from tests.sim.flow import PACKET_INTERVAL_S, Flow
from tests.sim.host import Host
from tests.sim.world import World

from shadowmesh.mesh import own_record
from shadowmesh.mesh.outputs import InstallPeer, PeerDisconnected, PublishRecord
from shadowmesh.records.peer_record import REVOKED_SEQUENCE, Capability

ROUND_TRIP_S = 0.05


def test_a_newer_record_with_other_capabilities_brings_a_fresh_handshake_without_a_gap() -> None:
    world, alice, bob = connected()
    flow = Flow(world, alice, bob)
    world.run_for(20)
    before = psks(alice)
    publish(world, bob, capabilities=Capability.RELAY)
    world.run_for(5)
    assert psks(alice)[len(before) :] == [psks(bob)[-1]]
    assert flow.longest_gap_s <= PACKET_INTERVAL_S + ROUND_TRIP_S
    assert not lost(alice) + lost(bob)


def test_a_newer_record_with_nothing_but_a_new_date_brings_none() -> None:
    world, alice, bob = connected()
    world.run_for(20)
    before = psks(alice)
    publish(world, bob)
    world.run_for(5)
    assert alice.machine.saved_state().records[0].record.sequence == bob.machine.own_record.record.sequence + 5
    assert psks(alice) == before


def test_a_peer_that_comes_back_with_another_wireguard_key_replaces_the_old_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, alice, bob = connected()
    world.run_for(20)
    old_key = bob.wireguard_key
    bob.kill()
    monkeypatch.setattr(own_record, "WIREGUARD_LABEL", b"another implementation draws a new one at each start")
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    assert alice.engine is not None
    assert list(alice.engine.peers) == [bob.wireguard_key] != [old_key]
    assert not lost(alice)


def test_a_peer_that_revokes_its_identity_loses_its_tunnel_as_soon_as_the_backbone_tells() -> None:
    world, alice, bob = connected()
    world.run_for(20)
    publish(world, bob, sequence=REVOKED_SEQUENCE)
    world.run_for(1)
    assert not alice.is_connected(bob)
    assert alice.engine is not None
    assert not alice.engine.peers


def publish(world: World, owner: Host, **changes: Any) -> None:
    """A record that another process of the same owner has signed: the backbone tells the subscribers."""
    own = owner.machine.own_record.record
    record = replace(own, **{"sequence": own.sequence + 5, **changes}).sign(owner.identity)
    world.backbone.publish(PublishRecord(record), Client(owner.peer_id, lambda _: None, lambda: True))


def connected() -> tuple[World, Host, Host]:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    return world, alice, bob


def psks(host: Host) -> list[bytes]:
    return list(dict.fromkeys(output.psk for output in host.outputs if isinstance(output, InstallPeer)))


def lost(host: Host) -> list[PeerDisconnected]:
    return [output for output in host.outputs if isinstance(output, PeerDisconnected)]
