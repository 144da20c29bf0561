from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.sim.chance import SeededEntropy

from shadowmesh.identity.names import Fingerprint
from shadowmesh.paths.lan.announcement import MAX_TAGS, Announcement
from shadowmesh.paths.lan.discovery import (
    INTERVAL_S,
    KEPT_ANNOUNCEMENTS,
    MAX_CHECKED,
    MAX_FETCHES,
    MAX_SERVED,
    MAX_SIGHTINGS,
    Announce,
    AnnouncementDue,
    LanDiscovery,
    LanDrop,
    LanOutput,
    PeerNear,
    RecordFetched,
)
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

A, B, C = (Fingerprint(letter * 32) for letter in (b"a", b"b", b"c"))
AT_A, AT_B = Endpoint.of("192.168.1.2", 41641), Endpoint.of("192.168.1.3", 41641)
FROM_A = Endpoint.of("192.168.1.2", 50_000)  # the port that announcements leave by is another one
RECORD, RECORD_ID = bytes(range(256)) * 29, b"id" * 16


def test_an_announcement_tells_the_peer_that_it_is_for_where_the_announcer_is() -> None:
    (near,) = [each for each in heard_by_b(announcement_of_a([B])) if isinstance(each, PeerNear)]
    assert (near.peer, near.endpoint) == (A.peer_id, AT_A)


def test_who_is_not_meant_learns_nothing() -> None:
    carol = LanDiscovery(C, entropy=SeededEntropy("c"), ids=OpenIds())
    carol.receive_announcement(announcement_of_a([B]), FROM_A, [A, B], 0.0)
    assert outputs(carol) == []
    assert carol.drops == {LanDrop.STRANGER.value: 1}


def test_a_burst_and_then_once_a_minute_while_there_is_a_network() -> None:
    a = LanDiscovery(A, entropy=SeededEntropy("a"), ids=OpenIds())
    assert a.next_timeout() is None
    a.set_endpoints([AT_A], 10.0)
    at = [10.0]
    assert outputs(a) == [AnnouncementDue()]
    for _ in range(4):
        due_at = a.next_timeout()
        assert due_at is not None
        a.handle_timeout(due_at)
        assert outputs(a) == [AnnouncementDue()]
        at.append(due_at)
    assert at[:3] == [10.0, 11.0, 13.0]
    assert all(INTERVAL_S[0] <= after - before <= INTERVAL_S[1] for before, after in ((at[2], at[3]), (at[3], at[4])))
    a.set_endpoints([], 200.0)
    assert a.next_timeout() is None


def test_a_missing_peer_hurries_the_next_one_but_makes_no_flood() -> None:
    a = LanDiscovery(A, entropy=SeededEntropy("a"), ids=OpenIds())
    a.hurry(1.0)
    assert a.next_timeout() is None
    a.set_endpoints([AT_A], 10.0)
    outputs(a)
    for _ in range(100):
        a.hurry(14.0)
    assert outputs(a) == []
    a.handle_timeout(14.0)
    outputs(a)
    a.hurry(14.5)
    assert a.next_timeout() == 15.0
    a.hurry(300.0)
    assert outputs(a) == [AnnouncementDue()]


def test_nobody_missing_nothing_sent() -> None:
    a = LanDiscovery(A, entropy=SeededEntropy("a"), ids=OpenIds())
    a.announce([])
    assert outputs(a) == []


@pytest.mark.parametrize("count", [1, 8, 9, 64, 65, 200])
def test_of_many_peers_all_get_their_turn_and_the_number_is_told_roughly(count: int) -> None:
    a = LanDiscovery(A, entropy=SeededEntropy("a"), ids=OpenIds())
    a.set_endpoints([AT_A], 0.0)
    outputs(a)
    peers = [Fingerprint(number.to_bytes(32, "big")) for number in range(count)]
    found: set[Fingerprint] = set()
    for _ in range(-(-count // MAX_TAGS)):
        a.announce(peers)
        (announce,) = outputs(a)
        assert isinstance(announce, Announce)
        announcement = Announcement.decode(announce.payload)
        assert len(announcement.tags) == min(MAX_TAGS, -(-count // 8) * 8)
        found |= {peer for peer in peers if recognises(peer, announce.payload)}
    assert found == set(peers)


def test_a_record_is_fetched_over_a_link_that_loses_and_repeats() -> None:
    a, b, near = met()
    b.fetch(A, near, 0.0)
    chance = SeededEntropy("loss")
    assert exchange(a, b, lost=lambda: chance.fraction() < 0.3) == RECORD


def test_a_stranger_that_sees_everything_can_neither_ask_nor_answer() -> None:
    a, b, near = met()
    b.fetch(A, near, 0.0)
    (request,) = [each for each in outputs(b) if isinstance(each, Transmit)]
    for offset in (0, 12, 24, 399):
        forged = request.payload[:offset] + bytes([request.payload[offset] ^ 1]) + request.payload[offset + 1 :]
        a.receive_datagram(forged, AT_B, RECORD, RECORD_ID, 0.0)
        b.receive_datagram(forged, AT_A, b"", b"", 0.0)
    assert outputs(a) == outputs(b) == []


def test_a_request_that_is_replayed_from_elsewhere_draws_three_times_its_size_at_most_and_not_without_end() -> None:
    a, b, near = met()
    b.fetch(A, near, 0.0)
    (request,) = [each for each in outputs(b) if isinstance(each, Transmit)]
    victim = Endpoint.of("198.51.100.1", 53)
    for _ in range(1000):
        a.receive_datagram(request.payload, victim, RECORD, RECORD_ID, 0.5)
    drawn = [each for each in outputs(a) if isinstance(each, Transmit)]
    assert len(drawn) == MAX_SERVED
    assert all(len(each.payload) <= 3 * len(request.payload) for each in drawn)


def test_an_old_announcement_opens_nothing_any_more() -> None:
    a, b, near = met()
    for _ in range(KEPT_ANNOUNCEMENTS):
        a.announce([B])
    outputs(a)
    b.fetch(A, near, 0.0)
    (request,) = [each for each in outputs(b) if isinstance(each, Transmit)]
    a.receive_datagram(request.payload, AT_B, RECORD, RECORD_ID, 0.0)
    assert outputs(a) == []


def test_who_is_no_longer_trusted_gets_no_record() -> None:
    a, b, near = met()
    b.fetch(A, near, 0.0)
    (request,) = [each for each in outputs(b) if isinstance(each, Transmit)]
    a.forget(B.peer_id)
    a.receive_datagram(request.payload, AT_B, RECORD, RECORD_ID, 0.0)
    assert outputs(a) == []


def test_a_fetch_that_is_not_answered_ends() -> None:
    _, b, near = met()
    b.fetch(A, near, 0.0)
    sent = 0
    while (at := b.next_timeout()) is not None:
        b.handle_timeout(at)
        sent += len(outputs(b))
    assert sent == 5


def test_of_one_peer_few_addresses_are_believed_at_a_time() -> None:
    b = LanDiscovery(B, entropy=SeededEntropy("b"), ids=OpenIds())
    payload = announcement_of_a([B])
    for number in range(1, 20):
        b.receive_announcement(payload, Endpoint.of(f"192.168.1.{number}", 1), [A], 0.0)
    assert len(outputs(b)) == MAX_SIGHTINGS
    b.receive_announcement(payload, FROM_A, [A], 6.0)
    assert len(outputs(b)) == 1


def test_a_flood_is_not_looked_at() -> None:
    b = LanDiscovery(B, entropy=SeededEntropy("b"), ids=OpenIds())
    for _ in range(1000):
        b.receive_announcement(b"noise", FROM_A, [A], 0.0)
    assert b.drops == {LanDrop.MALFORMED.value: MAX_CHECKED, LanDrop.TOO_MANY.value: 1000 - MAX_CHECKED}


def test_few_records_are_fetched_at_a_time() -> None:
    _, b, near = met()
    for number in range(100):
        b.fetch(A, PeerNear(near.peer, Endpoint.of("192.0.2.1", number + 1), near.secret), 0.0)
    assert len(outputs(b)) == MAX_FETCHES


def announcement_of_a(peers: list[Fingerprint]) -> bytes:
    a = LanDiscovery(A, entropy=SeededEntropy("a"), ids=OpenIds())
    a.set_endpoints([AT_A], 0.0)
    outputs(a)
    a.announce(peers)
    (announce,) = outputs(a)
    assert isinstance(announce, Announce)
    return announce.payload


def heard_by_b(payload: bytes) -> list[LanOutput]:
    b = LanDiscovery(B, entropy=SeededEntropy("b"), ids=OpenIds())
    b.receive_announcement(payload, FROM_A, [C, A], 0.0)
    return outputs(b)


def recognises(peer: Fingerprint, payload: bytes) -> bool:
    listener = LanDiscovery(peer, entropy=SeededEntropy("l"), ids=OpenIds())
    listener.receive_announcement(payload, FROM_A, [A], 0.0)
    return bool(outputs(listener))


def met() -> tuple[LanDiscovery, LanDiscovery, PeerNear]:
    """A has announced itself, and B has heard it."""
    a, b = (
        LanDiscovery(A, entropy=SeededEntropy("a"), ids=OpenIds()),
        LanDiscovery(B, entropy=SeededEntropy("b"), ids=OpenIds()),
    )
    a.set_endpoints([AT_A], 0.0)
    outputs(a)
    a.announce([B])
    (announce,) = outputs(a)
    assert isinstance(announce, Announce)
    b.receive_announcement(announce.payload, FROM_A, [A], 0.0)
    (near,) = outputs(b)
    assert isinstance(near, PeerNear)
    return a, b, near


def exchange(a: LanDiscovery, b: LanDiscovery, lost: Callable[[], bool]) -> bytes:
    """Until B has the record; each datagram that arrives comes twice."""
    for step in range(400):
        now = step / 100
        b.handle_timeout(now)
        for output in outputs(b):
            if isinstance(output, RecordFetched):
                return output.record
            if isinstance(output, Transmit) and not lost():
                for _ in range(2):
                    a.receive_datagram(output.payload, AT_B, RECORD, RECORD_ID, now)
        for output in outputs(a):
            if isinstance(output, Transmit) and not lost():
                b.receive_datagram(output.payload, AT_A, b"", b"", now)
    raise AssertionError("it was given up")


def outputs(discovery: LanDiscovery) -> list[LanOutput]:
    found = []
    while (output := discovery.poll()) is not None:
        found.append(output)
    return found
