"""Default deny: who is not trusted gets nothing."""

from __future__ import annotations

from dataclasses import replace

from tests.sim.host import Host
from tests.sim.world import World

from shadowmesh.identity.keys import Identity
from shadowmesh.mesh.outputs import LookedUp, SendUpdate
from shadowmesh.mesh.state import PeerState
from shadowmesh.records.cache_entry import CacheEntry
from shadowmesh.records.peer_record import SignedRecord


def test_one_sided_trust_gives_nothing_and_tells_no_address() -> None:
    world = World()
    alice, mallory = world.host("alice"), world.host("mallory")
    mallory.trust(alice)
    alice.start()
    mallory.start()
    world.run_for(1)
    mallory.connect(alice)
    world.run_for(120)
    assert mallory.engine is not None
    assert alice.engine is not None
    assert not mallory.engine.peers
    assert not alice.engine.peers
    assert not calls_of(alice)
    assert world.network.destinations[mallory.address, alice.address] == 0
    assert "does it trust this node" in mallory.failures()[0]


def test_an_untrusted_peer_that_knows_the_address_gets_no_datagram_back() -> None:
    world = World()
    alice, bob, mallory = world.host("alice"), world.host("bob"), world.host("mallory")
    alice.trust(bob)
    mallory.trust(alice)
    for host in (alice, bob, mallory):
        host.start()
    world.run_for(2)
    record = alice.machine.own_record
    mallory.kill()
    mallory.disk = replace(mallory.disk, cache=(cache_entry(alice),), records=(record,))
    mallory.start()
    mallory.connect(alice)
    world.run_for(60)
    assert world.network.destinations[mallory.address, alice.address] > 0
    # It holds alice's record, so its first message is answered; its identity is then not in the list.
    assert alice.engine is not None
    assert not alice.engine.peers
    assert mallory.status(alice).state is not PeerState.CONNECTED
    assert alice.machine.drops["untrusted peer"] > 0


def test_trust_that_becomes_mutual_connects() -> None:
    world = World()
    alice, bob = world.host("alice"), world.host("bob")
    alice.trust(bob)
    alice.start()
    bob.start()
    world.run_for(3600)
    assert not alice.is_connected(bob)
    bob.trust(alice)
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=5)


def test_who_is_trusted_again_while_it_waits_is_connected_without_a_new_handshake() -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    bob.feed(lambda mesh, now: mesh.untrust(alice.identity.fingerprint, now))
    alice.restart()
    world.run_for(0.5)
    assert not alice.is_connected(bob)
    bob.trust(alice)
    assert bob.is_connected(alice)
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=1.5 * world.network.weather.latency_s)


def test_untrust_ends_the_session_at_once_and_for_good() -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    alice.feed(lambda mesh, now: mesh.untrust(bob.identity.fingerprint, now))
    assert alice.engine is not None
    assert not alice.engine.peers
    world.run_for(300)
    assert not alice.engine.peers
    assert not bob.is_connected(alice)
    alice.restart()
    world.run_for(60)
    assert not alice.machine.trusted()


def test_a_forged_record_from_the_backbone_is_refused() -> None:
    world = World()
    alice, bob = world.pair()
    bob.start()
    world.run_for(2)
    forged = forge(world.registry.records[bob.peer_id])
    bob.kill()
    world.registry.records[bob.peer_id] = forged
    alice.start()
    world.run_for(5)
    alice.feed(lambda mesh, now: mesh.look_up(bob.peer_id, now))
    world.run_for(1)
    answer = next(output for output in alice.outputs if isinstance(output, LookedUp))
    assert answer.record is None
    assert "signature" in answer.failure
    assert not alice.machine.saved_state().records


def test_an_expired_record_from_the_backbone_is_refused() -> None:
    world = World()
    alice, bob = world.pair()
    bob.start()
    world.run_for(2)
    bob.kill()
    world.run_for(25 * 3600)
    alice.start()
    alice.connect(bob)
    world.run_for(5)
    assert not alice.machine.saved_state().records
    assert "expired" in alice.status(bob).reason


def test_a_peer_that_claims_the_wireguard_key_of_another_does_not_get_its_tunnel() -> None:
    world = World()
    alice, bob, mallory = world.host("alice"), world.host("bob"), world.host("mallory")
    alice.trust(bob, mallory)
    bob.trust(alice)
    mallory.trust(alice)
    for host in (alice, bob):
        host.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    mallory.identity = Thief(mallory.identity, bob.identity)
    mallory.start()
    world.run_for(30)
    assert not alice.is_connected(mallory)
    assert "claims the WireGuard key" in alice.status(mallory).reason
    assert world.would_pass(alice, bob)


class Thief(Identity):
    """Has the WireGuard key of another node, but not its identity."""

    def __init__(self, own: Identity, victim: Identity) -> None:
        super().__init__(own.seed)
        self._victim = victim

    def derive(self, label: bytes) -> bytes:
        return self._victim.derive(label)


def calls_of(host: Host) -> list[object]:
    return [output for output in host.outputs if isinstance(output, SendUpdate) and "Call" in repr(output)]


def cache_entry(host: Host) -> CacheEntry:
    """As if the host had been reached before."""
    return CacheEntry(host.identity.fingerprint, endpoint=host.endpoint)


def forge(record: SignedRecord) -> SignedRecord:
    """The same with one bit of the signature changed."""
    encoded = bytearray(record.encoded)
    encoded[-1] ^= 1
    return SignedRecord.decode(bytes(encoded))
