"""The responder under attack: who is answered, with how much, and who never is."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.session.adversary import LyingInitiator, honest_flight3
from tests.unit.session.harness import WALL_CLOCK, Node, World, endpoint, identity, record

from shadowmesh.records.peer_record import MAX_CLOCK_AHEAD_S, SignedRecord
from shadowmesh.session import keys
from shadowmesh.session.events import CookiesDemanded, DropReason
from shadowmesh.session.fragments import Fragment, MissingRequest, cut
from shadowmesh.session.limits import (
    COMPLETED_S,
    HALF_OPEN_S,
    LOAD_HALF_OPEN,
    MAX_HALF_OPEN,
    MAX_HALF_OPEN_A_PREFIX,
    MAX_UNVALIDATED_REASSEMBLIES,
    USED_S,
)
from shadowmesh.session.macs import MacWriter
from shadowmesh.session.messages import M1_BYTES, Claim, Message1
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.transmit import Transmit

STRANGER = endpoint(66)


def test_an_illegal_encapsulation_key_gets_no_answer() -> None:
    world, b = _responder()
    message = Message1(b"initiatr", bytes(32), b"\xff" * 1568, keys.SUITE).encode()
    assert _inject_all(world, cut(1, b"initiatr", message).datagrams, b) == []
    assert _dropped(b) == {DropReason.MALFORMED: 1}


@pytest.mark.parametrize("suite", [0, 2, 65535])
def test_another_suite_gets_no_answer(suite: int) -> None:
    world, b = _responder()
    assert _inject_all(world, LyingInitiator(2, suite=suite).flight1, b) == []
    assert _dropped(b) == {DropReason.MALFORMED: 1}


def test_another_version_gets_no_answer() -> None:
    world, b = _responder()
    flight = [datagram[:1] + b"\2" + datagram[2:] for datagram in LyingInitiator(2).flight1]
    assert _inject_all(world, flight, b) == []
    assert _dropped(b) == {DropReason.MALFORMED: 2}


def test_a_header_with_another_cid_than_message1_gets_no_answer() -> None:
    world, b = _responder()
    liar = LyingInitiator(2)
    assert _inject_all(world, cut(1, b"another!", liar.message1).datagrams, b) == []
    assert _dropped(b) == {DropReason.MALFORMED: 1}


def test_a_single_fragment_of_message1_gets_no_answer_ever() -> None:
    for index in (0, 1):
        world, b = _responder()
        world.inject(LyingInitiator(2).flight1[index], STRANGER, b)
        world.run(10)
        assert world.sent == []


def test_the_fragments_of_message1_from_two_addresses_get_no_answer() -> None:
    world, b = _responder()
    first, second = LyingInitiator(2).flight1
    world.inject(first, STRANGER, b)
    world.inject(second, endpoint(67), b)
    assert world.sent == []


def test_a_message1_with_a_cookie_is_the_one_that_came_without() -> None:
    world, b = _responder()
    liar = LyingInitiator(2)
    plain = _inject_all(world, liar.flight1, b)
    with_cookie = cut(1, liar.cid, liar.message1, MacWriter(liar.gate_keys.mac1, b"c" * 16)).datagrams
    assert _inject_all(world, with_cookie, b) == plain


def test_a_repeated_message1_gets_the_same_message2() -> None:
    world, b = _responder()
    liar = LyingInitiator(2)
    first = _inject_all(world, liar.flight1, b)
    assert len(first) == 6
    assert _inject_all(world, liar.flight1, b) == first
    assert liar.read([transmit.payload for transmit in first]).claim == Claim.of(record(2))


def test_message2_is_never_repeated_unasked() -> None:
    world, b = _responder()
    _inject_all(world, LyingInitiator(2).flight1, b)
    world.run(60)
    assert len(world.sent) == 6


def test_fragments_of_message2_are_repeated_within_the_budget() -> None:
    world, b = _responder()
    flight2 = _inject_all(world, LyingInitiator(2).flight1, b)
    request = MissingRequest(Fragment.decode(flight2[0].payload).flight, (1, 4))
    assert world.inject(request.encode(padded=True), STRANGER, b) == [flight2[1], flight2[4]]
    short = MissingRequest(request.flight, tuple(range(6))).encode(padded=False)
    answers = [world.inject(short, STRANGER, b) for _ in range(20)]
    sent = sum(len(transmit.payload) for answer in answers for transmit in answer)
    assert sent <= 3 * (20 * len(short) + 2464) - 6443


def test_a_request_from_an_address_that_sent_nothing_else_gets_no_more_than_three_times_its_size() -> None:
    world, b = _responder()
    flight2 = _inject_all(world, LyingInitiator(2).flight1, b)
    request = MissingRequest(Fragment.decode(flight2[0].payload).flight, tuple(range(6)))
    answer = world.inject(request.encode(padded=True), endpoint(67), b)
    assert sum(len(transmit.payload) for transmit in answer) <= 3 * 1232
    assert {transmit.destination for transmit in answer} == {endpoint(67)}


def test_a_request_for_an_unknown_flight_gets_no_answer() -> None:
    world, b = _responder()
    flight2 = _inject_all(world, LyingInitiator(2).flight1, b)
    flight = Fragment.decode(flight2[0].payload).flight
    for other in (replace(flight, message_id=bytes(8)), replace(flight, cid=bytes(8)), replace(flight, message=3)):
        assert world.inject(MissingRequest(other, (0,)).encode(padded=True), STRANGER, b) == []
    assert _dropped(b) == {DropReason.UNKNOWN_CONNECTION: 3}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["M1", "M1 part", "ask", "ask padded", "M3 part", "M3 forged"]),
            st.integers(0, 5),
            st.integers(0, 3),
            st.sampled_from([0.0, 0.03, 0.3]),
        ),
        max_size=40,
    )
)
def test_an_address_that_is_not_proved_never_gets_more_than_three_times_what_it_sent(
    steps: list[tuple[str, int, int, float]],
) -> None:
    """Counted on the wire for each address, whatever is repeated or asked for in whatever order."""
    world, b = _responder()
    liars = [LyingInitiator(2, seed=seed, cid=bytes([seed]) * 8) for seed in range(2)]
    flights2 = [_inject_all(world, liar.flight1, b, endpoint(50 + seed)) for seed, liar in enumerate(liars)]
    received = Counter({endpoint(50): 2464, endpoint(51): 2464})
    for kind, number, address, pause in steps:
        which = number % 2
        flight2 = Fragment.decode(flights2[which][0].payload).flight
        cid = Fragment.decode(flights2[which][0].payload).payload[:8]
        asked = tuple(index for index in range(6) if index <= number)
        datagrams = {
            "M1": liars[which].flight1,
            "M1 part": liars[which].flight1[which : which + 1],
            "ask": [MissingRequest(flight2, asked).encode(padded=False)],
            "ask padded": [MissingRequest(flight2, asked).encode(padded=True)],
            "M3 part": cut(3, cid, bytes(4712)).datagrams[number % 4 : number % 4 + 1],
            "M3 forged": cut(3, cid, bytes(4712)).datagrams,
        }[kind]
        for datagram in datagrams:
            received[endpoint(50 + address)] += len(datagram)
            world.inject(datagram, endpoint(50 + address), b)
        world.run(pause)
        sent: Counter[Endpoint] = Counter()
        for datagram_sent in world.sent:
            sent[datagram_sent.destination] += len(datagram_sent.payload)
        assert all(sent[destination] <= 3 * received[destination] for destination in received)


def test_an_initiator_that_is_not_trusted_gets_silence_after_message2() -> None:
    world, b = _responder()
    liar = _opened(world, b)
    for _ in range(3):
        assert _inject_all(world, honest_flight3(liar, 9), b) == []
    world.run(60)
    assert _dropped(b) == {DropReason.UNTRUSTED: 3}
    assert (b.events, len(world.sent)) == ([], 6)


def test_an_initiator_that_becomes_trusted_meanwhile_is_served() -> None:
    world, b = _responder()
    liar = _opened(world, b)
    flight3 = honest_flight3(liar, 9)
    _inject_all(world, flight3, b)
    b.handshaker.allow(identity(9).fingerprint, None)
    assert len(_inject_all(world, flight3, b)) == 1
    assert b.session.peer == identity(9).peer_id


def test_the_session_names_the_record_and_the_key_that_message3_brought() -> None:
    world, b = _responder()
    liar = _opened(world, b)
    (answer,) = _inject_all(world, honest_flight3(liar, 1), b)
    assert answer.destination == STRANGER
    assert (b.session.record, b.session.wireguard_key) == (record(1), record(1).record.wireguard_key)
    assert b.session.endpoint == STRANGER


def test_a_trusted_peer_cannot_come_in_the_name_of_another() -> None:
    _refused(DropReason.BAD_SIGNATURE, named=1, signer=3)


def test_a_signature_over_another_wireguard_key_of_ours_is_refused() -> None:
    _refused(DropReason.BAD_SIGNATURE, signed_wireguard_key=b"x" * 32)


def test_a_signature_over_another_wireguard_key_of_the_peer_is_refused() -> None:
    _refused(DropReason.BAD_SIGNATURE, signed_claim=replace(Claim.of(record(1)), wireguard_key=b"x" * 32))


def test_a_bad_signature_ends_the_handshake_so_that_each_costs_a_new_one() -> None:
    world, b = _responder()
    liar = _opened(world, b)
    forged = _flight3(liar, signer=3)
    _inject_all(world, forged, b)
    _inject_all(world, forged, b)
    assert b.handshaker.drops[DropReason.BAD_SIGNATURE] == 1


@pytest.mark.parametrize(
    ("sent", "claim"),
    [
        (record(3), Claim.of(record(3))),
        (record(1), Claim.of(record(3))),
        (record(1), replace(Claim.of(record(1)), wireguard_key=b"x" * 32)),
        (record(1), Claim(b"newerone", 5, b"x" * 32, 0)),
        (record(1, ttl_s=1), Claim.of(record(1, ttl_s=1))),
        (record(1, sequence=2**64 - 1), Claim.of(record(1, sequence=2**64 - 1))),
    ],
    ids=[
        "of another key",
        "not the one claimed",
        "with another wireguard key",
        "older than the claim",
        "expired",
        "revoked",
    ],
)
def test_a_record_that_must_not_be_believed_is_refused(sent: SignedRecord, claim: Claim) -> None:
    world, b = _responder()
    world.wall_clock += 2
    liar = _opened(world, b)
    assert _inject_all(world, _flight3(liar, claim=claim, sent=sent), b) == []
    assert _dropped(b) == {DropReason.RECORD_REFUSED: 1}


def test_a_record_from_the_future_is_refused_until_the_clock_is_right() -> None:
    world, b = _responder()
    world.wall_clock = WALL_CLOCK - MAX_CLOCK_AHEAD_S - 1
    liar = _opened(world, b)
    assert _inject_all(world, honest_flight3(liar, 1), b) == []
    assert _dropped(b) == {DropReason.RECORD_REFUSED: 1}
    world.wall_clock = WALL_CLOCK
    assert len(_inject_all(world, honest_flight3(liar, 1), b)) == 1


def test_a_record_whose_own_signature_is_broken_is_refused() -> None:
    broken = SignedRecord.decode(record(1).encoded[:-1] + bytes([record(1).encoded[-1] ^ 1]))
    world, b = _responder()
    liar = _opened(world, b)
    assert _inject_all(world, _flight3(liar, claim=Claim.of(broken), sent=broken), b) == []
    assert _dropped(b) == {DropReason.RECORD_REFUSED: 1}


def test_bytes_that_are_no_record_are_refused() -> None:
    world, b = _responder()
    liar = _opened(world, b)
    assert _inject_all(world, honest_flight3(liar, 1, sent_record=b"no record"), b) == []
    assert _dropped(b) == {DropReason.MALFORMED: 1}


def test_the_held_record_suffices_when_message3_brings_none() -> None:
    world, b = _responder()
    b.handshaker.allow(identity(1).fingerprint, record(1))
    liar = _opened(world, b)
    assert len(_inject_all(world, honest_flight3(liar, 1, sent_record=b""), b)) == 1
    assert b.session.record == record(1)


def test_with_an_older_record_held_the_key_is_the_signed_one() -> None:
    world, b = _responder()
    b.handshaker.allow(identity(1).fingerprint, record(1))
    newer = record(1, sequence=2, wireguard_key=b"n" * 32)
    liar = _opened(world, b)
    assert len(_inject_all(world, _flight3(liar, claim=Claim.of(newer)), b)) == 1
    assert (b.session.record, b.session.wireguard_key) == (record(1), b"n" * 32)


def test_an_older_record_than_the_held_one_is_no_way_back_to_an_older_key() -> None:
    world, b = _responder()
    b.handshaker.allow(identity(1).fingerprint, record(1, sequence=2, wireguard_key=b"n" * 32))
    liar = _opened(world, b)
    assert _inject_all(world, honest_flight3(liar, 1), b) == []
    assert _dropped(b) == {DropReason.RECORD_REFUSED: 1}


def test_an_older_record_with_the_same_key_does_not_replace_the_held_one() -> None:
    world, b = _responder()
    b.handshaker.allow(identity(1).fingerprint, record(1, sequence=2))
    liar = _opened(world, b)
    assert len(_inject_all(world, honest_flight3(liar, 1), b)) == 1
    assert b.session.record == record(1, sequence=2)


def test_without_any_record_nothing_is_verified() -> None:
    world, b = _responder()
    liar = _opened(world, b)
    assert _inject_all(world, honest_flight3(liar, 1, sent_record=b""), b) == []
    assert _dropped(b) == {DropReason.NO_RECORD: 1}


def test_a_repeated_message3_gets_the_same_message4_and_makes_no_second_session() -> None:
    world, b = _responder()
    liar = _opened(world, b)
    flight3 = honest_flight3(liar, 1)
    first = _inject_all(world, flight3, b)
    world.run(0.5)
    assert _inject_all(world, flight3, b) == first
    assert len(b.sessions) == 1


def test_a_minute_later_a_replayed_message3_finds_nobody() -> None:
    world, b = _responder()
    liar = _opened(world, b)
    flight3 = honest_flight3(liar, 1)
    _inject_all(world, flight3, b)
    world.run(COMPLETED_S)
    assert _inject_all(world, flight3, b) == []
    assert b.handshaker.drops[DropReason.UNKNOWN_CONNECTION] == len(flight3)
    assert len(b.sessions) == 1


def test_a_replayed_message1_finds_nobody_for_five_minutes_and_leads_nowhere_later() -> None:
    world, b = _responder()
    liar = _opened(world, b)
    flight3 = honest_flight3(liar, 1)
    _inject_all(world, flight3, b)
    assert _inject_all(world, liar.flight1, b) == []
    assert _dropped(b) == {DropReason.REPLAYED: 1}
    world.run(USED_S + 1)
    assert len(_inject_all(world, liar.flight1, b)) == 6
    assert _inject_all(world, flight3, b) == []
    assert len(b.sessions) == 1


def test_a_handshake_that_got_no_message3_is_forgotten_after_thirty_seconds() -> None:
    world, b = _responder()
    liar = _opened(world, b)
    world.run(HALF_OPEN_S)
    assert b.handshaker.next_timeout() is None
    assert _inject_all(world, honest_flight3(liar, 1), b) == []


def test_a_flood_of_handshakes_keeps_the_newest_and_hurts_only_its_neighbours_first() -> None:
    world, b = _responder()
    quiet = _opened(world, b)
    flood = endpoint(70)
    for number in range(MAX_HALF_OPEN_A_PREFIX + 1):
        liar = LyingInitiator(2, seed=1 + number, cid=bytes([number]) * 8)
        _inject_all(world, liar.flight1, b, flood)
    assert b.handshaker.drops[DropReason.HALF_OPEN_FULL] == 1
    assert len(_inject_all(world, honest_flight3(quiet, 1), b)) == 1


def test_cookies_are_demanded_while_a_quarter_of_the_table_is_taken() -> None:
    world, b = _responder()

    def demanded() -> list[bool]:
        return [event.demanded for event in b.events if isinstance(event, CookiesDemanded)]

    for number in range(LOAD_HALF_OPEN):
        assert demanded() == []
        liar = LyingInitiator(2, seed=1 + number, cid=number.to_bytes(8, "big"))
        _inject_all(world, liar.flight1, b, endpoint(70 + number))
    assert demanded() == [True]
    liar.read([sent.payload for sent in world.sent[-6:]])
    _inject_all(world, honest_flight3(liar, 1), b)
    assert demanded() == [True, False]


def test_whoever_was_evicted_gets_in_with_its_retransmission() -> None:
    world, b = _responder()
    evicted = _opened(world, b)
    for number in range(MAX_HALF_OPEN):
        world.now += 0.01
        liar = LyingInitiator(2, seed=1 + number, cid=number.to_bytes(8, "big"))
        assert len(_inject_all(world, liar.flight1, b, endpoint(70 + number))) == 6
    world.now += 2
    assert _inject_all(world, honest_flight3(evicted, 1), b) == []
    flight2 = _inject_all(world, evicted.flight1, b)
    evicted.read([transmit.payload for transmit in flight2])
    assert len(_inject_all(world, honest_flight3(evicted, 1), b)) == 1


def test_a_flood_of_fragments_holds_bounded_memory_and_no_genuine_handshake_is_lost() -> None:
    world, b = _responder()
    for number in range(2000):
        datagram = cut(1, number.to_bytes(8, "big"), number.to_bytes(4, "big") * (M1_BYTES // 4)).datagrams[0]
        world.inject(datagram, endpoint(70 + number % 500), b)
    assert b.handshaker.reassembly_bytes <= MAX_UNVALIDATED_REASSEMBLIES * M1_BYTES
    assert b.handshaker.drops[DropReason.REASSEMBLY_FULL] == 2000 - MAX_UNVALIDATED_REASSEMBLIES
    assert len(_inject_all(world, LyingInitiator(2).flight1, b)) == 6
    world.run(5)
    assert b.handshaker.reassembly_bytes == 0


def test_message1_altered_on_the_way_by_one_who_knows_our_key_gives_an_answer_that_the_initiator_refuses() -> None:
    world = World()
    a, b = world.pair()
    world.lose = lambda sent: sent.message == 1
    world.connect(a, b)
    genuine = b"".join(Fragment.decode(sent.payload).payload for sent in world.sent)
    altered = bytearray(genuine)
    altered[10] ^= 1  # in the nonce
    for transmit in _inject_all(world, cut(1, genuine[:8], bytes(altered)).datagrams, b, a.endpoints[0]):
        world.inject(transmit.payload, b.endpoints[0], a)
    assert a.handshaker.drops[DropReason.UNDECRYPTABLE] >= 1
    assert world.sent_by(a, 3) == []


def _responder() -> tuple[World, Node]:
    """Node 2, which trusts 1 and 3 and holds no record of them."""
    world = World()
    b = world.node(2)
    for number in (1, 3):
        b.handshaker.allow(identity(number).fingerprint, None)
    return world, b


def _opened(world: World, b: Node) -> LyingInitiator:
    """One that has got its M2."""
    liar = LyingInitiator(2)
    liar.read([transmit.payload for transmit in _inject_all(world, liar.flight1, b)])
    return liar


def _inject_all(
    world: World, datagrams: tuple[bytes, ...] | list[bytes], b: Node, source: Endpoint = STRANGER
) -> list[Transmit]:
    return [transmit for datagram in datagrams for transmit in world.inject(datagram, source, b)]


def _flight3(
    liar: LyingInitiator, *, signer: int = 1, claim: Claim | None = None, sent: SignedRecord | None = None
) -> tuple[bytes, ...]:
    return liar.flight3(
        named=identity(1).fingerprint,
        signer=identity(signer),
        claim=claim or Claim.of(record(1)),
        sent_record=b"" if sent is None and claim is not None else (sent or record(1)).encoded,
    )


def _refused(
    reason: DropReason,
    *,
    named: int = 1,
    signer: int = 1,
    signed_claim: Claim | None = None,
    signed_wireguard_key: bytes | None = None,
) -> None:
    world, b = _responder()
    liar = _opened(world, b)
    flight3 = liar.flight3(
        named=identity(named).fingerprint,
        signer=identity(signer),
        claim=Claim.of(record(named)),
        sent_record=record(named).encoded,
        signed_claim=signed_claim,
        signed_wireguard_key=signed_wireguard_key,
    )
    assert _inject_all(world, flight3, b) == []
    assert _dropped(b) == {reason: 1}
    assert b.events == []


def _dropped(node: Node) -> dict[DropReason, int]:
    return {reason: count for reason, count in node.handshaker.drops.items() if count}
