"""What a third party sends disturbs neither the engine nor a stock WireGuard device beside it."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from shadowmesh._engine import PeerHandshake

from .engine_lab import FAR, KEYED_S, NEAR, events_until, pings, until
from .initiation_flood import flood
from .stock_lab import Pair, Side, pair
from .wire_tap import HANDSHAKE, Kind, Tap, Tapped

pytestmark = pytest.mark.privileged

FLOOD_FROM = ["198.18.9.1/17", "198.18.9.2/17"]


@pytest.mark.parametrize("initiator", Side)
@pytest.mark.parametrize("flooded", Side)
def test_under_load_the_other_side_proves_its_address_and_has_its_session(flooded: Side, initiator: Side) -> None:
    with pair() as p:
        flooder = p.network.host("flooder", addresses=FLOOD_FROM)
        key, target = flooded_at(p, flooded)
        guest_host, guest = (p.far, p.theirs_at()) if flooded is Side.OURS else (p.near, p.ours_at())
        with flood(flooder, key, target) as flooding, Tap(guest_host, HANDSHAKE) as tap:
            # A handshake that met one of the moments without load (1 in 100) shows nothing: then it is made anew.
            for _ in range(3):
                until(flooding.is_asked_for_cookies)
                before = len(tap.all())
                make_handshake(p, initiator)
                dialogue = tap.all()[before:]
                if any(message.kind == Kind.COOKIE_REPLY for message in dialogue):
                    break
            assert_cookie_was_used(dialogue, guest)
            assert flooding.is_asked_for_cookies()
        assert p.pings_both_ways()


def flooded_at(p: Pair, flooded: Side) -> tuple[bytes, tuple[str, int]]:
    if flooded is Side.OURS:
        return p.engine.public_key, p.ours_at()
    return p.stock.public_key, p.theirs_at()


def make_handshake(p: Pair, initiator: Side) -> None:
    p.engine.remove_peer(p.stock.public_key)
    p.stock.forget_sessions(p.engine.public_key)
    psk = os.urandom(32)
    p.add_theirs(psk, knows_us=initiator is Side.THEIRS)
    p.add_ours(psk)
    host, address = (p.near, FAR.ipv4) if initiator is Side.OURS else (p.far, NEAR.ipv4)
    until(lambda: pings(host, address, count=1, timeout_s=1), 3 * KEYED_S)
    events_until(p.engine, PeerHandshake)


def assert_cookie_was_used(dialogue: list[Tapped], guest: tuple[str, int]) -> None:
    """The guest had a cookie, put it into each message from then on, and one of those made the session."""
    kinds = [message.kind for message in dialogue]
    assert Kind.COOKIE_REPLY in kinds
    at = kinds.index(Kind.COOKIE_REPLY)
    assert dialogue[at].destination == guest
    assert not any(message.has_mac2 for message in dialogue[:at] if message.source == guest)
    proven = [message for message in dialogue[at:] if message.source == guest]
    assert proven
    assert all(message.has_mac2 for message in proven)
    assert kinds[-1] == Kind.RESPONSE
    assert Kind.RESPONSE in kinds[at:]


def test_a_replayed_initiation_of_theirs_is_not_answered_and_moves_nothing() -> None:
    with pair() as p, Tap(p.far) as tap, attacker(p) as third:
        p.connect(Side.THEIRS)
        (first,) = tap.seen(Kind.INITIATION)
        third.replay(first)
        until(lambda: replays(p) == 1)
        assert_session_goes_on(p)

        # And when that session is over and another one has replaced it.
        p.stock.forget_sessions(p.engine.public_key)
        p.connect(Side.THEIRS)
        initiations = tap.seen(Kind.INITIATION)
        assert len(initiations) == 2
        for initiation in initiations:
            third.replay(initiation)
        until(lambda: replays(p) == 3)
        assert_session_goes_on(p)
        assert not third.has_heard()


def test_a_replayed_initiation_of_ours_is_not_answered_and_moves_nothing() -> None:
    with pair() as p, Tap(p.near) as tap, attacker(p) as third:
        p.connect(Side.OURS)
        (initiation,) = tap.seen(Kind.INITIATION)
        handshake_at = p.stock.handshake_at(p.engine.public_key)
        third.replay(initiation)
        assert_session_goes_on(p)
        assert p.stock.handshake_at(p.engine.public_key) == handshake_at
        assert not third.has_heard()


def test_replayed_data_of_theirs_is_refused_and_moves_nothing() -> None:
    with pair() as p, Tap(p.far) as tap, attacker(p) as third:
        p.connect(Side.THEIRS)
        assert pings(p.far, NEAR.ipv4, count=1)
        received = p.engine.counters().peers[0].rx_packets
        third.replay(tap.seen(Kind.DATA, p.theirs_at())[-1])
        until(lambda: replays(p) == 1)
        assert p.engine.counters().peers[0].rx_packets == received
        assert_session_goes_on(p)
        assert not third.has_heard()


def test_replayed_data_of_ours_is_refused_and_moves_nothing() -> None:
    with pair() as p, Tap(p.near) as tap, attacker(p) as third:
        p.connect(Side.OURS)
        assert pings(p.near, FAR.ipv4, count=1)
        received = p.far.interface_counters()[p.stock.device].rx_packets
        third.replay(tap.seen(Kind.DATA, p.ours_at())[-1])
        assert pings(p.near, FAR.ipv4, count=1)
        assert p.far.interface_counters()[p.stock.device].rx_packets == received + 1
        assert_session_goes_on(p)
        assert not third.has_heard()


@dataclass(frozen=True, slots=True)
class Attacker:
    """Sends what others have sent, from an address of its own."""

    socket: socket.socket

    def replay(self, tapped: Tapped) -> None:
        self.socket.sendto(tapped.payload, tapped.destination)

    def has_heard(self) -> bool:
        try:
            return bool(self.socket.recv(2**16, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return False


@contextmanager
def attacker(p: Pair) -> Iterator[Attacker]:
    with p.network.host("attacker").socket() as opened:
        yield Attacker(opened)


def replays(p: Pair) -> int:
    return p.engine.counters().drops["wireguard_replay"]


def assert_session_goes_on(p: Pair) -> None:
    """Without a handshake, and each where the other one knows it to be."""
    assert p.pings_both_ways()
    assert not p.engine.drain()
    assert p.engine.counters().peers[0].path == p.theirs_at()
    assert p.stock.endpoint_of(p.engine.public_key) == p.ours_at()
