"""The responder under a flood: what it costs, who is asked for a cookie, and who still gets in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from tests.unit.session.adversary import LyingInitiator
from tests.unit.session.harness import Node, World, endpoint, identity, record

from shadowmesh.identity.keys import Identity
from shadowmesh.session import kem, responder
from shadowmesh.session.admission import PrefixRates
from shadowmesh.session.cookie_reply import COOKIE_REPLY_BYTES, CookieReply
from shadowmesh.session.events import DropReason
from shadowmesh.session.fragments import Fragment, MissingRequest, cut
from shadowmesh.session.limits import (
    AMPLIFICATION,
    COOKIE_BURST,
    COOKIE_RATE,
    COOKIE_SECRET_S,
    LOAD_HALF_OPEN,
    LOAD_RATE,
    MAX_PREFIXES,
    PREFIX_BURST,
    PREFIX_RATE,
)
from shadowmesh.session.messages import M1_BYTES
from shadowmesh.session.source_prefix import source_prefix
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.first_byte import ControlType
from shadowmesh.wire.transmit import Transmit

ME = endpoint(66)


def test_in_quiet_times_nobody_is_asked_for_a_cookie() -> None:
    world, b = _responder()
    for number in range(40):
        world.now += 2.0
        assert len(_inject(world, b, _stranger(number).flight1, endpoint(70 + number))) == 6


def test_above_fifty_message1_a_second_everybody_is_asked_for_a_cookie() -> None:
    world, b = _flooded()
    (answer,) = _inject(world, b, LyingInitiator(2).flight1)
    assert answer.destination == ME
    assert answer.payload[0] == ControlType.COOKIE
    assert len(answer.payload) == COOKIE_REPLY_BYTES


def test_with_many_handshakes_under_way_a_slow_trickle_is_asked_too() -> None:
    world, b = _responder()
    answers = []
    for number in range(LOAD_HALF_OPEN + 1):
        world.now += 0.1
        answers.append(len(_inject(world, b, _stranger(number).flight1, endpoint(70 + number))))
    assert answers == [6] * LOAD_HALF_OPEN + [1]


def test_the_load_is_over_a_second_after_the_flood() -> None:
    world, b = _flooded()
    world.run(31)  # the half-open ones are gone too
    assert len(_inject(world, b, LyingInitiator(2).flight1)) == 6


def test_with_its_cookie_the_same_message1_is_served() -> None:
    world, b = _flooded()
    liar = LyingInitiator(2)
    flight2 = _inject(world, b, liar.flight1_with(_asked(world, b, liar)))
    assert liar.read([transmit.payload for transmit in flight2])


def test_the_cookie_of_another_address_is_answered_with_one_more_reply_only() -> None:
    world, b = _flooded()
    liar = LyingInitiator(2)
    with_cookie = liar.flight1_with(_asked(world, b, liar))
    for elsewhere in (endpoint(67), endpoint(66, port=9)):
        (answer,) = _inject(world, b, with_cookie, elsewhere)
        assert len(answer.payload) == COOKIE_REPLY_BYTES


def test_an_expired_cookie_is_answered_with_one_more_reply_only() -> None:
    world, b = _flooded()
    liar = LyingInitiator(2)
    with_cookie = liar.flight1_with(_asked(world, b, liar))
    world.now += 2 * COOKIE_SECRET_S + 1
    _flood(world, b, first=1000)
    (answer,) = _inject(world, b, with_cookie)
    assert len(answer.payload) == COOKIE_REPLY_BYTES


def test_without_a_valid_mac1_there_is_no_cookie_reply() -> None:
    world, b = _flooded()
    liar = LyingInitiator(2)
    bad = bytearray(liar.message1)
    bad[100] ^= 1
    assert _inject(world, b, cut(1, liar.cid, bytes(bad)).datagrams) == []
    assert _inject(world, b, liar.flight1[:1]) == []
    for payload in (b"\x42", b"\x42" + bytes(63), b"\x42\1" + bytes(62)):
        assert world.inject(payload, ME, b) == []


def test_asking_for_a_cookie_costs_no_lattice_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = _count_lattice_operations(monkeypatch)
    world, b = _flooded()
    spent = counted.copy()
    assert spent["sign"] == spent["encapsulate"] == LOAD_RATE
    for number in range(500):
        _inject(world, b, _stranger(2000 + number).flight1, endpoint(70 + number % 400))
    assert counted == spent
    assert b.handshaker.drops[DropReason.COOKIE_ASKED] >= 500


def test_one_network_with_good_cookies_gets_a_burst_and_then_four_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    world, b = _flooded()
    counted = _count_lattice_operations(monkeypatch)
    for number in range(100):
        liar = _stranger(3000 + number)
        source = endpoint(66, port=1000 + number)
        _inject(world, b, liar.flight1_with(_asked(world, b, liar, source)), source)
    assert counted["sign"] == PREFIX_BURST
    assert b.handshaker.drops[DropReason.RATE_LIMITED] == 100 - PREFIX_BURST


def test_many_networks_with_good_cookies_together_get_less_than_each_could_have_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each stays below its own rate; a second of it, in which every network comes twice."""
    world, b = _flooded()
    counted = _count_lattice_operations(monkeypatch)
    for number in range(800):
        liar, source = _stranger(3000 + number), endpoint(100 + number % 400)
        _inject(world, b, liar.flight1_with(_asked(world, b, liar, source)), source)
        world.now += 1 / 800
    assert COOKIE_RATE <= counted["sign"] <= COOKIE_RATE + COOKIE_BURST
    assert b.handshaker.drops[DropReason.RATE_LIMITED] == 800 - counted["sign"]


def test_no_address_gets_more_than_three_times_what_it_sends_whatever_it_tries() -> None:
    world, b = _flooded()
    liar = LyingInitiator(2)
    received: Counter[Endpoint] = Counter()
    sent: Counter[Endpoint] = Counter()

    def send(datagrams: Sequence[bytes], source: Endpoint) -> list[Transmit]:
        received[source] += sum(map(len, datagrams))
        answers = _inject(world, b, datagrams, source)
        for answer in answers:
            sent[answer.destination] += len(answer.payload)
        assert all(sent[address] <= AMPLIFICATION * received[address] for address in sent)
        return answers

    (asked,) = send(liar.flight1, ME)
    with_cookie = liar.flight1_with(CookieReply.decode(asked.payload))
    send(with_cookie, endpoint(67))
    flight2 = send(with_cookie, ME)
    assert len(flight2) == 6
    request = MissingRequest(Fragment.decode(flight2[0].payload).flight, tuple(range(6)))
    for _ in range(5):
        send(liar.flight1, ME)
        send(with_cookie, ME)
        send(with_cookie, endpoint(67))
        send([request.encode(padded=False)], ME)
        send([request.encode(padded=True)], endpoint(68))


@pytest.mark.parametrize("seed", range(3))
def test_a_peer_gets_in_through_a_flood_from_many_spoofed_addresses(seed: int) -> None:
    world = World(seed)
    a, b = world.pair()
    world.connect(a, b)
    for number in range(600):
        if number == 100:
            a.handshaker.cancel(identity(2).peer_id, world.now)
            a.handshaker.connect(record(2), b.endpoints, world.now)
            world.drain(a)
            a.events.clear()
        _inject(world, b, _stranger(10_000 + number).flight1, endpoint(300 + number % 500))
        world.run(0.005)
    assert a.sessions
    assert a.session.psk == b.session.psk
    assert a.session.took_s < 1
    assert b.handshaker.drops[DropReason.COOKIE_ASKED] > 400
    assert b.handshaker.reassembly_bytes <= 64 * M1_BYTES


def test_the_table_of_networks_is_bounded_and_the_quietest_makes_room() -> None:
    rates = PrefixRates()
    for number in range(MAX_PREFIXES + 10):
        assert rates.take(source_prefix(endpoint(number)), 0.0)
    assert len(rates) == MAX_PREFIXES


def test_a_network_recovers_its_burst_in_time() -> None:
    rates, prefix = PrefixRates(), source_prefix(ME)
    assert [rates.take(prefix, 0.0) for _ in range(9)] == [True] * 8 + [False]
    assert [rates.take(prefix, 1.0) for _ in range(5)] == [True] * int(PREFIX_RATE) + [False]
    assert [rates.take(prefix, 100.0) for _ in range(9)] == [True] * 8 + [False]


def _responder() -> tuple[World, Node]:
    world = World()
    return world, world.node(2)


def _flooded() -> tuple[World, Node]:
    """Under load, by handshakes from many addresses at once."""
    world, b = _responder()
    _flood(world, b)
    return world, b


def _flood(world: World, b: Node, first: int = 0) -> None:
    for number in range(first, first + int(2 * LOAD_RATE)):
        _inject(world, b, _stranger(number).flight1, endpoint(70 + number % 400))


def _stranger(number: int) -> LyingInitiator:
    return LyingInitiator(2, seed=1 + number, cid=number.to_bytes(8, "big"))


def _asked(world: World, b: Node, liar: LyingInitiator, source: Endpoint = ME) -> CookieReply:
    (answer,) = _inject(world, b, liar.flight1, source)
    return CookieReply.decode(answer.payload)


def _inject(world: World, b: Node, datagrams: Sequence[bytes], source: Endpoint = ME) -> list[Transmit]:
    return [transmit for datagram in datagrams for transmit in world.inject(datagram, source, b)]


def _count_lattice_operations(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    counted: Counter[str] = Counter()
    sign = Identity.sign

    def counting_sign(self: Identity, message: bytes, *, context: bytes = b"") -> bytes:
        counted["sign"] += 1
        return sign(self, message, context=context)

    def counting_encapsulate(key: bytes) -> tuple[bytes, bytes]:
        counted["encapsulate"] += 1
        return kem.encapsulate(key)

    monkeypatch.setattr(Identity, "sign", counting_sign)
    monkeypatch.setattr(responder, "encapsulate", counting_encapsulate)
    return counted
