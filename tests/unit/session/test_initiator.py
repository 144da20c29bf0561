"""Attempts, seen from outside: what the initiator sends, when, and what ends it."""

from dataclasses import replace
from itertools import pairwise

import pytest
from tests.unit.session.adversary import flight2
from tests.unit.session.harness import DEAD, Node, Sent, World, endpoint, identity, record
from tests.unit.session.session_vectors import sealed_reply

from shadowmesh.session.cookie_reply import CookieReply
from shadowmesh.session.events import DropReason, FailureReason, HandshakeFailed, PeerAuthenticated, Role
from shadowmesh.session.fragments import HEADER_BYTES, MAC_BYTES, Flight, Fragment, MissingRequest, cut
from shadowmesh.session.limits import (
    AMPLIFICATION,
    COOKIE_HELD_S,
    MAX_COOKIES_AN_ENDPOINT,
    MAX_ENDPOINTS,
    MAX_REPAIR_ANSWERS,
)
from shadowmesh.session.macs import GateKeys, MacWriter, macs_of
from shadowmesh.session.messages import M3_BYTES, Claim
from shadowmesh.wire.endpoint import Endpoint

VICTIM = endpoint(77)  # nobody's, as far as the nodes know


def test_message1_goes_to_every_endpoint_once_and_to_eight_at_most() -> None:
    world = World()
    a, b = world.pair()
    endpoints = [endpoint(100 + number) for number in range(MAX_ENDPOINTS + 2)]
    world.connect(a, b, [endpoints[0], *endpoints])
    assert [sent.destination for sent in world.sent[::2]] == endpoints[:MAX_ENDPOINTS]
    assert {len(sent.payload) for sent in world.sent} == {1232}


def test_an_endpoint_that_is_added_gets_message1_at_once_and_the_others_nothing() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b, [DEAD])
    world.connect(a, b, [DEAD, *b.endpoints])
    assert [sent.destination for sent in world.sent] == [DEAD, DEAD, *b.endpoints, *b.endpoints]
    world.run(1)
    assert a.session.psk == b.session.psk


def test_the_answer_may_come_from_an_address_that_was_not_asked() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b, [DEAD])
    for sent in world.sent[:]:
        world.inject(sent.payload, a.endpoints[0], b)
    world.run(1)
    assert a.session.endpoint == b.endpoints[0]


def test_the_whole_flight_is_repeated_after_half_a_second_then_at_twice_the_interval() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b, [DEAD])
    world.run(31)
    times = sorted({sent.at - 1000.0 for sent in world.sent})
    intervals = [later - earlier for earlier, later in pairwise(times)]
    for interval, least in zip(intervals, [0.5, 1, 2, 4, 8, 10], strict=False):
        assert least <= interval <= 1.2 * least
    assert len({sent.payload for sent in world.sent}) == 2


def test_it_gives_up_after_thirty_seconds() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b, [DEAD])
    world.run(29.9)
    assert a.handshaker.connecting(identity(2).peer_id)
    world.run(0.1)
    assert a.events == [HandshakeFailed(identity(2).peer_id, FailureReason.TIMEOUT)]
    assert not a.handshaker.connecting(identity(2).peer_id)
    assert a.handshaker.next_timeout() is None


def test_an_early_timeout_does_nothing() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b, [DEAD])
    sent = len(world.sent)
    a.handshaker.handle_timeout(world.now + 0.4)
    world.drain(a)
    assert len(world.sent) == sent


def test_a_late_timeout_does_all_that_is_due_once() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b, [DEAD])
    a.handshaker.handle_timeout(world.now + 20)
    world.drain(a)
    assert len(world.sent) == 4
    a.handshaker.handle_timeout(world.now + 100)
    world.drain(a)
    assert a.failures == [HandshakeFailed(identity(2).peer_id, FailureReason.TIMEOUT)]


def test_a_cancelled_attempt_fails_and_what_comes_later_is_ignored() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b)
    a.handshaker.cancel(identity(2).peer_id, world.now)
    world.drain(a)
    world.run(5)
    assert a.events == [HandshakeFailed(identity(2).peer_id, FailureReason.CANCELLED)]
    assert a.handshaker.drops[DropReason.UNKNOWN_CONNECTION] == 6
    assert b.events == []


@pytest.mark.parametrize("lost", range(6))
def test_a_lost_fragment_of_message2_is_asked_for_within_a_round_trip(lost: int) -> None:
    world = World()
    a, b = world.pair()
    _lose_once(world, message=2, index=lost)
    world.connect(a, b)
    world.run_until(lambda: bool(a.sessions))
    assert a.session.took_s == pytest.approx(0.08 + 0.02 + 0.04, abs=0.001)
    assert a.session.psk == b.session.psk


def test_three_lost_fragments_of_message2_come_with_one_request() -> None:
    world = World()
    a, b = world.pair()
    _lose_once(world, message=2, index=0, more=(2, 3))
    world.connect(a, b)
    world.run_until(lambda: bool(a.sessions))
    assert a.session.took_s == pytest.approx(0.14, abs=0.001)


@pytest.mark.parametrize("lost", range(10))
def test_a_lost_fragment_of_message3_is_asked_for_within_a_round_trip(lost: int) -> None:
    world = World()
    a, b = world.pair()
    _lose_once(world, message=3, index=lost)
    world.connect(a, b)
    world.run_until(lambda: bool(a.sessions))
    assert a.session.took_s == pytest.approx(0.14, abs=0.001)


def test_forged_fragments_of_an_address_that_was_not_asked_bring_it_three_times_their_bytes_at_most() -> None:
    """By one who reads cidI on the way: the requests for the rest of M2 are full datagrams, and six of them."""
    world = World()
    a, b = world.pair()
    world.lose = lambda sent: sent.destination == a.endpoints[0]
    world.connect(a, b)
    world.run(0.1)
    genuine = world.sent_by(b, 2)
    spent = 0
    for sent in (genuine[0], genuine[5]):
        world.inject(sent.payload, VICTIM, a)
        spent += len(sent.payload)
        world.run(4)
        assert _bytes_to(world, VICTIM) <= AMPLIFICATION * spent
    assert _bytes_to(world, VICTIM) > 0


def test_a_copied_message2_of_an_address_that_was_not_asked_brings_it_three_times_its_bytes_at_most() -> None:
    world = World()
    a, b = world.pair()
    world.lose = lambda sent: sent.destination in (a.endpoints[0], VICTIM)
    world.connect(a, b)
    world.run(0.1)
    genuine = world.sent_by(b, 2)[:6]
    for sent in genuine:
        world.inject(sent.payload, VICTIM, a)
    flight3 = [sent for sent in world.sent_by(a, 3) if sent.destination == VICTIM]
    assert len(flight3) == 10
    request = MissingRequest(
        replace(Fragment.decode(flight3[0].payload).flight, cid=genuine[0].payload[4:12]), (0, 1, 2)
    )
    requests = [request.encode(padded=False)] * 8
    for datagram in requests:
        world.inject(datagram, VICTIM, a)
    world.run(31)
    spent = sum(len(sent.payload) for sent in genuine) + sum(map(len, requests))
    assert _bytes_to(world, VICTIM) <= AMPLIFICATION * spent


def test_who_asks_for_message3_without_end_is_answered_eight_times_a_flight() -> None:
    world = World()
    a, b = world.pair()
    world.lose = lambda sent: sent.message == 3
    world.connect(a, b)
    world.run(0.3)
    flight = Fragment.decode(world.sent_by(a, 3)[0].payload).flight
    own_cid = Fragment.decode(world.sent[0].payload).flight.cid
    request = MissingRequest(Flight(3, own_cid, flight.message_id, flight.length), (0,)).encode(padded=False)
    answers = [world.inject(request, endpoint(66), a) for _ in range(20)]
    assert sum(map(len, answers)) == MAX_REPAIR_ANSWERS
    assert {transmit.destination for answer in answers for transmit in answer} == {b.endpoints[0]}


def test_a_request_for_a_flight_that_was_never_sent_is_dropped() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b, [DEAD])
    own_cid = Fragment.decode(world.sent[0].payload).flight.cid
    for message, length in [(1, 2416), (3, M3_BYTES)]:
        request = MissingRequest(Flight(message, own_cid, bytes(8), length), (0,)).encode(padded=False)
        assert world.inject(request, endpoint(66), a) == []
    assert a.handshaker.drops[DropReason.UNKNOWN_CONNECTION] == 2


def test_an_answer_with_a_wrong_key_does_not_end_the_attempt() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b)
    for datagram in flight2(_flight1(world), named=2, signer=3):
        world.inject(datagram, endpoint(66), a)
    assert a.handshaker.drops[DropReason.BAD_SIGNATURE] == 1
    world.run(1)
    assert a.session.psk == b.session.psk


def test_after_a_good_answer_no_other_is_kept_or_asked_for() -> None:
    world = World()
    a, b = world.pair()
    world.lose = lambda sent: sent.message == 3
    world.connect(a, b)
    flight1 = _flight1(world)
    world.run(0.05)
    world.inject(flight2(flight1, named=2, signer=2)[0], b.endpoints[0], a)
    assert a.handshaker.reassembly_bytes == 0
    assert a.handshaker.drops[DropReason.REPLAYED] == 1


def test_when_only_wrong_keys_answer_the_reason_says_so() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b, [DEAD])
    for datagram in flight2(_flight1(world), named=2, signer=3):
        world.inject(datagram, endpoint(66), a)
    world.run(31)
    assert a.failures == [HandshakeFailed(identity(2).peer_id, FailureReason.WRONG_KEY)]


def test_a_responder_that_goes_silent_after_a_good_answer_is_a_timeout() -> None:
    world = World()
    a, b = world.pair()
    world.lose = lambda sent: sent.message == 3
    world.connect(a, b)
    for datagram in flight2(_flight1(world), named=2, signer=3):
        world.inject(datagram, endpoint(66), a)
    world.run(31)
    assert a.failures == [HandshakeFailed(identity(2).peer_id, FailureReason.TIMEOUT)]


def test_the_signature_of_another_role_is_not_accepted() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b, [DEAD])
    for datagram in flight2(_flight1(world), named=2, signer=2, context=b"shadowmesh/v1/session-init"):
        world.inject(datagram, endpoint(66), a)
    assert a.handshaker.drops[DropReason.BAD_SIGNATURE] == 1


def test_a_responder_may_say_that_it_has_a_newer_wireguard_key_but_not_an_older_one() -> None:
    for sequence, accepted in [(2, True), (0, False)]:
        world = World()
        a, b = world.pair()
        world.connect(a, b, [DEAD])
        claim = Claim(b"recordid", sequence, b"n" * 32, 0)
        for datagram in flight2(_flight1(world), named=2, signer=2, claim=claim):
            world.inject(datagram, endpoint(66), a)
        assert bool(world.sent_by(a, 3)) == accepted
        assert a.handshaker.drops[DropReason.RECORD_REFUSED] == (0 if accepted else 1)


def test_with_message3_it_tells_what_the_session_will_have_if_the_peer_accepts() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b)
    world.run_until(lambda: bool(a.events))
    (authenticated,) = a.events
    assert isinstance(authenticated, PeerAuthenticated)
    assert not b.sessions
    assert "psk" not in repr(authenticated)
    world.run(1)
    early = (authenticated.wireguard_key, authenticated.psk, authenticated.endpoint, authenticated.cipher)
    assert early == (a.session.wireguard_key, a.session.psk, a.session.endpoint, a.session.cipher)


def test_the_session_has_the_wireguard_key_that_was_signed() -> None:
    world = World()
    a, b = world.node(1), world.node(2, own=record(2, sequence=9, wireguard_key=b"n" * 32))
    world.trust(a, b)
    world.connect(a, b)
    world.run(1)
    assert a.session.wireguard_key == b"n" * 32
    assert a.session.record == record(2)
    assert a.session.psk == b.session.psk


def test_the_record_travels_once_and_again_when_it_changed() -> None:
    world = World()
    a, b = world.pair()
    lengths = []
    for own in (record(1), record(1), record(1, sequence=2)):
        a.handshaker.own_record_changed(own)
        world.connect(a, b)
        world.run(1)
        lengths.append(Fragment.decode(world.sent_by(a, 3)[-1].payload).flight.length)
        assert b.session.record == own
        assert a.session.psk == b.session.psk
    assert lengths == [M3_BYTES + len(record(1).encoded), M3_BYTES, M3_BYTES + len(record(1, sequence=2).encoded)]


def test_a_peer_that_may_have_forgotten_us_gets_the_record_at_once() -> None:
    world = World()
    a, b = world.pair()
    for _ in range(2):
        world.connect(a, b)
        world.run(1)
        b.handshaker = world.handshaker(2)
        world.trust(a, b)
        a.handshaker.peer_forgot(identity(2).peer_id)
        a.handshaker.peer_forgot(identity(3).peer_id)
    assert len(a.sessions) == 2
    assert b.session.took_s < 0.1


def test_a_responder_that_lost_the_record_gets_it_after_two_retransmissions() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b)
    world.run(1)
    b.handshaker = world.handshaker(2)
    world.trust(a, b)
    world.connect(a, b)
    world.run_until(lambda: len(a.sessions) == 2)
    assert 3.5 < a.session.took_s < 4.5
    assert a.session.psk == b.session.psk
    assert b.handshaker.drops[DropReason.NO_RECORD] == 3


def test_message3_without_and_with_the_record_are_sealed_under_two_keys() -> None:
    """One key and nonce for two plaintexts would show their difference: here the PeerID would be equal."""
    world = World()
    a, b = world.pair()
    world.connect(a, b)
    world.run(1)
    world.lose = lambda sent: sent.message == 4
    world.connect(a, b)
    world.run(10)
    starts = {
        Fragment.decode(sent.payload).payload[:32]
        for sent in world.sent_by(a, 3)
        if Fragment.decode(sent.payload).index == 0 and sent.at > 1000.5
    }
    (bare, full) = sorted(starts)
    assert (bare[0], full[0]) == (0, 1)
    assert bare[1:21] != full[1:21]


def test_both_forms_of_message3_lead_to_the_same_session() -> None:
    """B accepts the short form, its answers are lost, and A turns to the long one."""
    world = World()
    a, b = world.pair()
    world.connect(a, b)
    world.run(1)
    world.lose = lambda sent: sent.message == 4 and world.now < 1006
    world.connect(a, b)
    world.run(20)
    assert len(a.sessions) == len(b.sessions) == 2
    assert a.session.psk == b.session.psk


def test_a_forged_message4_does_not_end_the_attempt() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b)
    own_cid = Fragment.decode(world.sent[0].payload).flight.cid
    for when in (0.0, 0.05):
        world.run(when)
        world.inject(cut(4, own_cid, bytes(52)).datagrams[0], b.endpoints[0], a)
    world.run(1)
    assert a.handshaker.drops[DropReason.UNDECRYPTABLE] == 2
    assert (a.session.role, a.session.psk) == (Role.INITIATOR, b.session.psk)


def test_only_an_allowed_peer_with_a_live_record_is_connected_to() -> None:
    world = World()
    a, _ = world.pair()
    with pytest.raises(ValueError, match="allowed"):
        a.handshaker.connect(record(3), [], world.now)
    a.handshaker.allow(identity(1).fingerprint, None)
    with pytest.raises(ValueError, match="allowed"):
        a.handshaker.connect(record(1), [], world.now)
    with pytest.raises(ValueError, match="revoked"):
        a.handshaker.connect(record(2, sequence=2**64 - 1), [], world.now)
    assert a.handshaker.poll() is None


def _flight1(world: World) -> list[bytes]:
    return [sent.payload for sent in world.sent if sent.message == 1][:2]


def _lose_once(world: World, *, message: int, index: int, more: tuple[int, ...] = ()) -> None:
    lost = {index, *more}

    def lose(sent: Sent) -> bool:
        if sent.payload[0] != 0x40 or sent.message != message:
            return False
        here = Fragment.decode(sent.payload).index
        if here in lost:
            lost.remove(here)
            return True
        return False

    world.lose = lose


def test_message1_is_repeated_at_once_with_the_cookie_and_only_where_it_was_asked_for() -> None:
    world, a, reply = asked_for_a_cookie()
    flights = {tuple(sent.payload for sent in world.sent)}
    answer = world.inject(reply.encode(), endpoint(2), a)
    assert [transmit.destination for transmit in answer] == [endpoint(2)] * 2
    macs = MacWriter(GateKeys.of(identity(2).public).mac1, b"c" * 16)
    assert [transmit.payload[HEADER_BYTES:][:32] for transmit in answer] == [
        macs(transmit.payload[:HEADER_BYTES]) for transmit in answer
    ]
    assert tuple(transmit.payload for transmit in answer) not in flights
    world.run(1)
    later = [sent.payload for sent in world.sent if sent.destination == endpoint(2)]
    assert later[-2:] == [transmit.payload for transmit in answer]
    others = [sent.payload for sent in world.sent if sent.destination == DEAD]
    assert len(set(others)) == 2


def test_a_replayed_cookie_reply_is_ignored() -> None:
    world, a, reply = asked_for_a_cookie()
    world.inject(reply.encode(), endpoint(2), a)
    assert world.inject(reply.encode(), endpoint(2), a) == []
    assert a.handshaker.drops[DropReason.UNDECRYPTABLE] == 1


def test_a_cookie_reply_of_an_earlier_attempt_is_ignored() -> None:
    world, a, reply = asked_for_a_cookie()
    a.handshaker.cancel(identity(2).peer_id, world.now)
    a.handshaker.connect(record(2), [endpoint(2)], world.now)
    world.drain(a)
    assert world.inject(reply.encode(), endpoint(2), a) == []
    assert a.handshaker.drops[DropReason.UNKNOWN_CONNECTION] == 1


def test_a_forged_cookie_reply_is_ignored() -> None:
    world, a, reply = asked_for_a_cookie()
    forged = replace(reply, sealed=bytes(32))
    assert world.inject(forged.encode(), endpoint(2), a) == []
    assert a.handshaker.drops[DropReason.UNDECRYPTABLE] == 1
    assert world.inject(reply.encode(), endpoint(2), a) != []


def test_a_cookie_reply_from_an_address_that_was_sent_nothing_is_ignored() -> None:
    world, a, reply = asked_for_a_cookie()
    assert world.inject(reply.encode(), endpoint(99), a) == []
    assert a.handshaker.drops[DropReason.UNKNOWN_CONNECTION] == 1


def test_one_endpoint_makes_message1_repeated_by_replies_a_few_times_only() -> None:
    world, a, reply = asked_for_a_cookie()
    sent = world.sent[-2].payload
    answers = []
    for _ in range(10):
        answer = world.inject(reply.encode(), endpoint(2), a)
        answers.append(len(answer))
        sent = answer[0].payload if answer else sent
        reply = reply_to(sent)
    assert answers == [2] * MAX_COOKIES_AN_ENDPOINT + [0] * (10 - MAX_COOKIES_AN_ENDPOINT)


def test_the_next_attempt_begins_with_the_cookie_that_is_held_and_without_it_when_it_is_old() -> None:
    world, a, reply = asked_for_a_cookie()
    world.inject(reply.encode(), endpoint(2), a)
    shown = []
    for _ in range(2):
        world.run(COOKIE_HELD_S / 2)
        a.handshaker.connect(record(2), [endpoint(2)], world.now)
        world.drain(a)
        shown.append(any(Fragment.decode(world.sent[-1].payload).macs[MAC_BYTES:]))
    assert shown == [True, False]


def asked_for_a_cookie() -> tuple[World, Node, CookieReply]:
    """Node 1 tries two addresses of node 2, and a genuine reply of 2 that has not arrived yet."""
    world = World()
    a = world.node(1)
    a.handshaker.allow(identity(2).fingerprint, None)
    a.handshaker.connect(record(2), [DEAD, endpoint(2)], world.now)
    world.drain(a)
    return world, a, reply_to(world.sent[-2].payload)


def reply_to(first: bytes) -> CookieReply:
    """As the engine makes it, for the first datagram of M1."""
    key = GateKeys.of(identity(2).public).cookie
    return CookieReply.decode(sealed_reply(Fragment.decode(first).flight, macs_of(first), b"c" * 16, key, bytes(12)))


def _bytes_to(world: World, destination: Endpoint) -> int:
    return sum(len(sent.payload) for sent in world.sent if sent.destination == destination)
