from __future__ import annotations

import pytest
from tests.sim.world import WALL_START, identity_number
from tests.unit.mesh.records import forged, record_of

from shadowmesh.identity.names import Fingerprint
from shadowmesh.kademlia.cache import MAX_CACHE_ENTRIES, PUBLIC_BIT
from shadowmesh.mesh.known_peers import KnownPeers
from shadowmesh.mesh.state import TrustedPeer
from shadowmesh.mesh.trust import TrustList
from shadowmesh.records.cache_entry import CacheEntry, PathKind
from shadowmesh.records.peer_record import Mode, RecordRefused, Refusal, SignedRecord
from shadowmesh.wire.endpoint import Endpoint

ME = identity_number(5000).fingerprint
BOB = identity_number(1)
TRUSTED_BOB = TrustedPeer(BOB.fingerprint, "bob")
WHERE = Endpoint.of("198.18.0.3", 41641)


def test_an_accepted_record_is_kept_with_its_cache_entry() -> None:
    known = made()
    record = record_of(1, region=3, mode=Mode.PUBLIC, capabilities=3)
    known.accept(BOB.peer_id, record)
    assert known.record(BOB.peer_id) == record
    (entry,) = known.cache
    assert (entry.record_id, entry.sequence, entry.region) == (record.record_id[:8], 1, 3)
    assert entry.capabilities == PUBLIC_BIT | 3


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (record_of(2), Refusal.WRONG_PEER),
        (record_of(1, issued_at=int(WALL_START) - 90000), Refusal.EXPIRED),
        (record_of(1, issued_at=int(WALL_START) + 400), Refusal.FROM_THE_FUTURE),
        (forged(record_of(1)), Refusal.BAD_SIGNATURE),
    ],
)
def test_a_record_that_breaks_a_rule_is_refused(record: SignedRecord, reason: Refusal) -> None:
    known = made()
    with pytest.raises(RecordRefused) as refused:
        known.accept(BOB.peer_id, record)
    assert refused.value.reason is reason
    assert known.records() == ()


def test_a_record_that_came_with_a_session_is_kept_when_it_is_newer() -> None:
    known, newest = made(), record_of(1, sequence=5)
    assert known.keep_newer(BOB.peer_id, newest)
    assert not known.keep_newer(BOB.peer_id, newest)
    assert not known.keep_newer(BOB.peer_id, record_of(1, sequence=4))
    assert known.record(BOB.peer_id) == newest


def test_a_record_is_told_from_others_by_its_id() -> None:
    known, record = made(), record_of(1)
    assert not known.has(BOB.peer_id, record.record_id)
    known.accept(BOB.peer_id, record)
    assert known.has(BOB.peer_id, record.record_id)
    assert not known.has(BOB.peer_id, bytes(32))


def test_peers_are_ordered_by_their_last_session() -> None:
    one, two, three = (identity_number(number).peer_id for number in (1, 2, 3))
    known = KnownPeers(
        TrustList(ME, []),
        [CacheEntry(identity_number(number).fingerprint, last_ok_at=at) for number, at in ((1, 5), (2, 9))],
        [],
        wall_clock=lambda: WALL_START,
    )
    assert known.latest_first([three, one, two]) == [two, one, three]


def test_an_older_record_does_not_replace_a_newer_one() -> None:
    known = made(records=[record_of(1, sequence=5)])
    with pytest.raises(RecordRefused):
        known.accept(BOB.peer_id, record_of(1, sequence=4))


def test_a_key_with_the_trusted_peer_id_but_another_fingerprint_is_refused() -> None:
    imitated = Fingerprint(BOB.fingerprint.raw[:20] + bytes(12))
    known = made(trusted=TrustedPeer(imitated), records=[record_of(1)])
    assert known.record(BOB.peer_id) is None
    with pytest.raises(RecordRefused):
        known.accept(BOB.peer_id, record_of(1))


def test_what_was_known_of_another_key_is_forgotten_when_trust_begins() -> None:
    known = made(trusted=None)
    known.accept(BOB.peer_id, record_of(1))
    known.forget_other_key(Fingerprint(BOB.fingerprint.raw[:20] + bytes(12)))
    assert known.record(BOB.peer_id) is None
    assert len(known.cache) == 0


def test_a_session_is_remembered_with_its_place_and_time() -> None:
    known = made()
    known.failed(BOB.peer_id)
    known.reached(BOB.peer_id, WHERE)
    known.failed(BOB.peer_id)
    known.measured(BOB.peer_id, 0.0234)
    (entry,) = known.cache
    assert known.last_endpoint(BOB.peer_id) == entry.endpoint == WHERE
    assert (entry.last_ok_at, entry.path_kind, entry.failures) == (int(WALL_START), PathKind.DIRECT, 1)
    assert entry.rtt_ms == 23


def test_of_a_stranger_nothing_is_remembered_by_reaching_it() -> None:
    known = made()
    known.reached(identity_number(2).peer_id, WHERE)
    assert len(known.cache) == 0


def test_the_record_of_an_evicted_stranger_goes_too() -> None:
    others = [CacheEntry(Fingerprint(number.to_bytes(32, "little"))) for number in range(MAX_CACHE_ENTRIES - 1)]
    known = KnownPeers(TrustList(ME), others, (), wall_clock=lambda: WALL_START)
    known.accept(BOB.peer_id, record_of(1))
    known.failed(BOB.peer_id)
    known.accept(identity_number(2).peer_id, record_of(2))
    assert known.record(BOB.peer_id) is None
    assert known.record(identity_number(2).peer_id) is not None


def test_a_cache_of_trusted_peers_still_lets_the_records_of_trusted_peers_be_kept() -> None:
    trusted = [TrustedPeer(Fingerprint(number.to_bytes(32, "little"))) for number in range(MAX_CACHE_ENTRIES)]
    trust = TrustList(ME, [*trusted, TrustedPeer(BOB.fingerprint)])
    entries = [CacheEntry(peer.fingerprint) for peer in trusted]
    known = KnownPeers(trust, entries, (), wall_clock=lambda: WALL_START)
    record = record_of(1)
    known.accept(BOB.peer_id, record)
    assert known.record(BOB.peer_id) == record
    assert BOB.peer_id not in known.cache


def test_a_look_up_counts_in_the_cache() -> None:
    known = made(records=[record_of(1)])
    known.keep(BOB.peer_id, record_of(1, sequence=2))
    assert known.look_up(BOB.peer_id) is not None
    assert known.look_up(identity_number(2).peer_id) is None
    assert (known.cache.hits, known.cache.misses) == (1, 1)


def test_a_record_is_fresh_until_it_expires() -> None:
    known = made()
    assert known.is_fresh(record_of(1))
    assert not known.is_fresh(record_of(1, issued_at=int(WALL_START) - 86400))


def test_saved_records_of_nobody_we_know_are_left_out() -> None:
    assert made(records=[record_of(2)]).records() == ()


def made(*, trusted: TrustedPeer | None = TRUSTED_BOB, records: list[SignedRecord] | None = None) -> KnownPeers:
    trust = TrustList(ME, [] if trusted is None else [trusted])
    return KnownPeers(trust, (), records or [], wall_clock=lambda: WALL_START)
