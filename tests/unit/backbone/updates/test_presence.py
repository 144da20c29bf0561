"""What hints say."""

from tests.unit.backbone.world import START, SettableClock

from shadowmesh.backbone.stores.record_store import StoredRecord
from shadowmesh.backbone.updates.presence import Presence
from shadowmesh.identity.names import PeerID
from shadowmesh.records.hints import Hints
from shadowmesh.wire.endpoint import Endpoint

PEER = PeerID(b"p" * 20)
RECORD = StoredRecord(PEER, b"r" * 32, 1, 1000, 2000, b"")


def test_a_peer_that_was_never_here_was_last_seen_when_its_record_was_issued() -> None:
    assert Hints.decode(Presence(SettableClock()).hints(RECORD)) == Hints(online=False, last_seen_at=1000)


def test_an_online_peers_last_seen_follows_the_minutes() -> None:
    clock = SettableClock(START - START % 60)
    presence = Presence(clock)
    presence.connected(PEER)
    first = presence.hints(RECORD)
    clock.advance(59)
    assert presence.hints(RECORD) is first
    clock.advance(61)
    assert Hints.decode(presence.hints(RECORD)) == Hints(online=True, last_seen_at=int(clock.now))


def test_a_peer_that_left_was_last_seen_then_and_is_nowhere() -> None:
    clock = SettableClock()
    presence = Presence(clock)
    presence.connected(PEER)
    presence.reachable_at(PEER, (Endpoint.of("192.0.2.1", 1),))
    clock.advance(100)
    presence.disconnected(PEER)
    clock.advance(1000)
    assert Hints.decode(presence.hints(RECORD)) == Hints(online=False, last_seen_at=int(START) + 100)
