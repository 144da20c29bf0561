"""Over the real machine; what a pair does in a LAN is in tests/sim/test_lan.py."""

from __future__ import annotations

from tests.sim.host import Host
from tests.sim.nat.behaviour import Nat
from tests.sim.site import Link
from tests.sim.world import World

from shadowmesh.mesh.outputs import SaveRecord
from shadowmesh.paths.lan.announcement import Announcement
from shadowmesh.paths.lan.pair_secret import PairSecret
from shadowmesh.paths.lan.record_transfer import RecordChunk, seal, split
from shadowmesh.wire.endpoint import Endpoint

NONCE = bytes(16)


def test_a_record_that_is_not_the_peers_own_is_refused() -> None:
    """By a peer's neighbour that knows both fingerprints, and so can announce in its name and seal."""
    world, alice, bob = two_in_a_lan()
    alice.start()
    world.run_for(4)
    forger = Endpoint.of("192.168.0.66", 41641)
    announce_in_the_name_of(bob, alice, forger)
    mallory = world.host("mallory", pins=(), site=alice.site)
    mallory.start()
    serve(alice, bob, forger, mallory.machine.own_record.encoded)
    assert alice.machine.drops["lan: record refused"] == 1
    assert not any(isinstance(each, SaveRecord) for each in alice.outputs)


def test_what_is_no_record_is_refused() -> None:
    world, alice, bob = two_in_a_lan()
    alice.start()
    world.run_for(4)
    forger = Endpoint.of("192.168.0.66", 41641)
    announce_in_the_name_of(bob, alice, forger)
    serve(alice, bob, forger, b"nonsense")
    assert alice.machine.drops["lan: record refused"] == 1


def test_a_peer_whose_record_is_held_is_met_without_asking_for_it() -> None:
    world = World(backbones=1)
    site = world.site(Nat())
    alice, bob = world.host("alice", site=site), world.host("bob", site=site)
    alice.trust(bob)
    bob.trust(alice)
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=10)
    site.link.up = False
    bob.kill()
    world.run_for(60)
    asked: list[bytes] = []

    def listen(payload: bytes, _source: Endpoint, _destination: Endpoint) -> bool:
        asked.append(payload[:1])
        return True

    world.network.on_path = listen
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=30)
    assert b"\x46" not in asked


def announce_in_the_name_of(announcer: Host, listener: Host, where: Endpoint) -> None:
    secret = secret_of(announcer, listener)
    payload = Announcement(where.port, NONCE, (secret.tag, *(bytes([n]) * 8 for n in range(7)))).encode()
    listener.feed(lambda mesh, now: mesh.announcement_received(payload, where, now))


def serve(asker: Host, announcer: Host, where: Endpoint, record: bytes) -> None:
    secret = secret_of(announcer, asker)
    chunks: list[RecordChunk] = split(record, bytes(8))
    for chunk in chunks:
        datagram = seal(chunk, secret, lambda size: bytes(size))
        asker.feed(lambda mesh, now, datagram=datagram: mesh.receive_datagram(datagram, where, now))  # type: ignore[misc]


def secret_of(announcer: Host, listener: Host) -> PairSecret:
    return PairSecret.derive(announcer.identity.fingerprint, listener.identity.fingerprint, NONCE)


def two_in_a_lan() -> tuple[World, Host, Host]:
    world = World(backbones=0)
    site = world.site(Nat(), link=Link(up=False))
    alice, bob = (world.host(name, pins=(), site=site) for name in ("alice", "bob"))
    alice.trust(bob)
    bob.trust(alice)
    return world, alice, bob
