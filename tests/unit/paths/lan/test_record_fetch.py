from shadowmesh.identity.names import Fingerprint
from shadowmesh.paths.lan.pair_secret import PairSecret
from shadowmesh.paths.lan.record_fetch import GIVE_UP_AFTER_S, REQUEST_OFFSETS_S, RecordFetch
from shadowmesh.paths.lan.record_transfer import RecordChunk
from shadowmesh.wire.endpoint import Endpoint

ONE, OTHER = b"1" * 8, b"2" * 8


def test_the_first_chunk_tells_what_else_is_to_be_asked_for() -> None:
    fetch = fetching()
    assert fetch.missing == [0]
    assert fetch.add(RecordChunk(ONE, 0, 3, b"a"))
    assert fetch.missing == [1, 2]
    assert not fetch.add(RecordChunk(ONE, 2, 3, b"c"))
    assert fetch.record is None
    fetch.add(RecordChunk(ONE, 1, 3, b"b"))
    assert fetch.record == b"abc"


def test_a_chunk_of_another_record_does_not_get_in() -> None:
    fetch = fetching()
    fetch.add(RecordChunk(ONE, 0, 2, b"a"))
    fetch.add(RecordChunk(OTHER, 1, 2, b"x"))
    fetch.add(RecordChunk(ONE, 1, 3, b"x"))
    assert fetch.missing == [1]


def test_it_is_given_up_after_the_last_request() -> None:
    fetch = fetching()
    due = []
    while not fetch.is_hopeless:
        due.append(fetch.due_at)
        fetch.rounds += 1
    assert due == list(REQUEST_OFFSETS_S)
    assert fetch.due_at == GIVE_UP_AFTER_S


def fetching() -> RecordFetch:
    peer = Fingerprint(bytes(32))
    return RecordFetch(peer, PairSecret.derive(peer, peer, bytes(16)), Endpoint.of("192.0.2.1", 1), 0.0)
