from __future__ import annotations

import pytest
from tests.sim.world import WALL_START, identity_number
from tests.unit.mesh.records import forged, record_of

from shadowmesh.mesh.finder import MAX_ASKERS, Finder, FinderOutput, Found, KeysChanged
from shadowmesh.mesh.known_peers import KnownPeers
from shadowmesh.mesh.outputs import LookedUp, LookUp, Notice, SaveRecord
from shadowmesh.mesh.trust import TrustList
from shadowmesh.records.hints import Hints
from shadowmesh.records.peer_record import SignedRecord

BOB = identity_number(1).peer_id
HINTS = Hints(online=True, last_seen_at=0)
RECORD = record_of(1, sequence=5)


def test_a_miss_asks_the_backbone_and_its_record_is_saved_and_told() -> None:
    finder = made()
    look_up(finder)
    assert drained(finder) == [LookUp(BOB, None)]
    found(finder, RECORD)
    assert drained(finder) == [SaveRecord(RECORD), LookedUp(BOB, RECORD, "backbone", True), Found(BOB, HINTS)]


@pytest.mark.parametrize(
    ("newer", "changed"),
    [
        (record_of(1, sequence=6), False),
        (record_of(1, sequence=6, capabilities=8), True),
        (record_of(1, sequence=6, wireguard_key=b"x" * 32), True),
    ],
)
def test_a_newer_record_with_other_keys_or_capabilities_is_told_as_such(newer: SignedRecord, changed: bool) -> None:
    finder = made(RECORD)
    finder.need(BOB)
    found(finder, newer)
    assert (KeysChanged(BOB) in drained(finder)) is changed


def test_a_hit_asks_nobody() -> None:
    finder = made(RECORD)
    finder.look_up(BOB, link_online=False, link_reason="", peer_online=None)
    assert drained(finder) == [LookedUp(BOB, RECORD, "cache", None)]


def test_a_record_that_has_expired_is_no_hit_but_is_not_sent_again_when_it_is_still_the_newest() -> None:
    old = record_of(1, issued_at=int(WALL_START) - 90000)
    finder = made(old)
    look_up(finder)
    assert drained(finder) == [LookUp(BOB, old.record_id[:8])]


def test_several_askers_wait_for_one_look_up() -> None:
    finder = made()
    look_up(finder)
    look_up(finder)
    assert drained(finder) == [LookUp(BOB, None)]
    finder.peer_not_found(BOB)
    told = drained(finder)
    assert told[:2] == [LookedUp(BOB, None, "backbone", None)] * 2


def test_offline_a_miss_is_told_at_once() -> None:
    finder = made()
    finder.look_up(BOB, link_online=False, link_reason="no network", peer_online=None)
    (answer,) = drained(finder)
    assert isinstance(answer, LookedUp)
    assert "no network" in answer.failure


def test_too_many_askers_are_refused() -> None:
    finder = made()
    for _ in range(MAX_ASKERS + 1):
        look_up(finder)
    *_, last = drained(finder)
    assert isinstance(last, LookedUp)
    assert "too many" in last.failure


def test_a_forged_record_is_told_as_a_failure_and_not_kept() -> None:
    finder = made()
    look_up(finder)
    drained(finder)
    found(finder, forged(RECORD))
    answer, event = drained(finder)
    assert isinstance(answer, LookedUp)
    assert answer.record is None
    assert "signature" in answer.failure
    assert isinstance(event, Found)
    assert event.failure == answer.failure


def test_an_older_record_leaves_the_newer_one_and_is_no_failure() -> None:
    finder = made(RECORD)
    finder.need(BOB)
    drained(finder)
    found(finder, record_of(1, sequence=4))
    assert drained(finder) == [Found(BOB, HINTS)]


def test_two_records_with_one_number_are_written_to_the_log() -> None:
    finder = made(RECORD)
    finder.need(BOB)
    drained(finder)
    found(finder, record_of(1, sequence=5, region=7))
    notice, event = drained(finder)
    assert isinstance(notice, Notice)
    assert "two records" in notice.text
    assert isinstance(event, Found)
    assert event.failure


def test_a_backbone_that_keeps_the_record_back_is_a_failure() -> None:
    finder = made()
    finder.need(BOB)
    drained(finder)
    finder.peer_found(BOB, None, bytes(32), HINTS)
    (event,) = drained(finder)
    assert isinstance(event, Found)
    assert event.failure == "the backbone did not give the record"


def test_what_is_held_and_still_the_newest_counts_as_found() -> None:
    finder = made(RECORD)
    finder.need(BOB)
    assert drained(finder) == [LookUp(BOB, RECORD.record_id[:8])]
    finder.peer_found(BOB, None, RECORD.record_id, HINTS)
    assert drained(finder) == [Found(BOB, HINTS)]


def test_a_look_up_that_failed_is_told() -> None:
    finder = made()
    look_up(finder)
    drained(finder)
    finder.look_up_failed(BOB, "timed out")
    answer, event = drained(finder)
    assert isinstance(answer, LookedUp)
    assert "timed out" in answer.failure
    assert isinstance(event, Found)
    assert event.hints is None


def test_a_lost_link_ends_all_look_ups() -> None:
    finder = made()
    look_up(finder)
    drained(finder)
    finder.link_lost("reset")
    assert len(drained(finder)) == 2
    look_up(finder)
    assert drained(finder) == [LookUp(BOB, None)]


def test_an_answer_that_somebody_else_handles_only_frees_its_place() -> None:
    finder = made()
    finder.need(BOB)
    drained(finder)
    finder.answered(BOB)
    assert drained(finder) == []


def made(*records: SignedRecord) -> Finder:
    known = KnownPeers(TrustList(identity_number(5000).fingerprint), (), (), wall_clock=lambda: WALL_START)
    for record in records:
        known.keep(record.peer_id, record)
    return Finder(known)


def look_up(finder: Finder) -> None:
    finder.look_up(BOB, link_online=True, link_reason="", peer_online=None)


def found(finder: Finder, record: SignedRecord) -> None:
    finder.peer_found(BOB, record, record.record_id, HINTS)


def drained(finder: Finder) -> list[FinderOutput]:
    outputs = []
    while (output := finder.poll()) is not None:
        outputs.append(output)
    return outputs
