"""The engine and a stock WireGuard device understand each other."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from shadowmesh._engine import Engine, PeerHandshake
from shadowmesh.lab.host import Host
from shadowmesh.lab.network import Network

from .engine_lab import (
    FAR,
    KEYED_S,
    NEAR,
    StockWireguard,
    engine_on,
    events_until,
    pings,
    stock_on,
    transfers,
    until,
)

pytestmark = pytest.mark.privileged

outer = pytest.mark.parametrize("outer", ["ipv4", "ipv6"])


@dataclass(slots=True)
class Pair:
    near: Host
    far: Host
    engine: Engine
    stock: StockWireguard
    outer: str

    def ours_at(self) -> tuple[str, int]:
        return (str(self.near.ipv4 if self.outer == "ipv4" else self.near.ipv6), self.engine.port)

    def theirs_at(self) -> tuple[str, int]:
        return (str(self.far.ipv4 if self.outer == "ipv4" else self.far.ipv6), self.stock.port)

    def add_ours(self, psk: bytes, *, initiate: bool = False) -> None:
        self.engine.add_peer(self.stock.public_key, psk, self.theirs_at(), FAR.prefixes, initiate=initiate)

    def add_theirs(self, psk: bytes, *, knows_us: bool) -> None:
        self.stock.set_peer(self.engine.public_key, psk, NEAR, self.ours_at() if knows_us else None)


@contextmanager
def pair(outer: str = "ipv4") -> Iterator[Pair]:
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        near, far = network.host("near"), network.host("far")
        stock = stack.enter_context(stock_on(far, FAR))
        engine = stack.enter_context(engine_on(near, NEAR))
        yield Pair(near, far, engine, stock, outer)


@outer
def test_as_initiator_it_carries_pings_and_unharmed_tcp_both_ways(outer: str) -> None:
    with pair(outer) as p:
        psk = os.urandom(32)
        p.add_theirs(psk, knows_us=False)
        p.add_ours(psk, initiate=True)
        events_until(p.engine, PeerHandshake)
        assert pings(p.near, FAR.ipv6)
        assert pings(p.far, NEAR.ipv4)
        assert transfers(p.near, p.far, FAR.ipv6)
        assert transfers(p.far, p.near, NEAR.ipv4)


@outer
def test_as_responder_it_carries_pings_and_unharmed_tcp_both_ways(outer: str) -> None:
    with pair(outer) as p:
        psk = os.urandom(32)
        p.add_ours(psk)
        p.add_theirs(psk, knows_us=True)
        assert pings(p.far, NEAR.ipv6)
        events_until(p.engine, PeerHandshake)
        assert transfers(p.far, p.near, NEAR.ipv6)
        assert transfers(p.near, p.far, FAR.ipv4)
        (peer,) = p.engine.counters().peers
        assert peer.path == p.theirs_at()
        assert min(peer.tx_bytes, peer.rx_bytes) > 20_000_000


def test_a_packet_to_a_peer_without_a_session_starts_the_handshake_and_arrives() -> None:
    with pair() as p:
        psk = os.urandom(32)
        p.add_theirs(psk, knows_us=False)
        p.add_ours(psk)
        assert pings(p.near, FAR.ipv4, count=1)


def test_with_different_psks_nothing_passes() -> None:
    with pair() as p:
        p.add_theirs(os.urandom(32), knows_us=True)
        p.add_ours(os.urandom(32), initiate=True)
        assert not pings(p.near, FAR.ipv4)
        assert not pings(p.far, NEAR.ipv6)
        counters = p.engine.counters()
        assert counters.peers[0].rx_packets == 0
        assert counters.peers[0].handshake_age_s is None


def test_a_peer_may_use_only_the_addresses_that_it_was_given() -> None:
    with pair() as p:
        psk = os.urandom(32)
        p.add_theirs(psk, knows_us=True)
        p.add_ours(psk, initiate=True)
        events_until(p.engine, PeerHandshake)
        stranger = "10.77.0.99"
        p.far.namespace.ip([f"address add {stranger}/24 dev {p.stock.device}"])
        spoofed = ["ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", "-I", stranger, NEAR.ipv4]
        assert p.far.run(spoofed, check=False).returncode != 0
        assert p.engine.counters().drops["source_not_allowed"] == 3


def test_the_old_psk_carries_data_until_both_sides_have_the_new_one() -> None:
    with pair() as p:
        old, new = os.urandom(32), os.urandom(32)
        p.add_theirs(old, knows_us=True)
        p.add_ours(old, initiate=True)
        events_until(p.engine, PeerHandshake)

        p.add_ours(new, initiate=True)
        assert pings(p.near, FAR.ipv4)
        assert pings(p.far, NEAR.ipv6)
        assert not p.engine.drain()

        p.stock.set_psk(p.engine.public_key, new)
        events_until(p.engine, PeerHandshake, KEYED_S)
        assert pings(p.near, FAR.ipv4)
        assert pings(p.far, NEAR.ipv6)


def test_a_peer_that_still_has_the_old_psk_can_make_a_handshake_with_it() -> None:
    with pair() as p:
        old, new = os.urandom(32), os.urandom(32)
        p.add_ours(old)
        p.add_theirs(old, knows_us=True)
        assert pings(p.far, NEAR.ipv4)
        events_until(p.engine, PeerHandshake)

        p.add_ours(new)
        p.stock.forget_sessions(p.engine.public_key)
        p.add_theirs(old, knows_us=True)
        until(lambda: pings(p.far, NEAR.ipv4, count=1, timeout_s=1), 2 * KEYED_S)
        events_until(p.engine, PeerHandshake)

        p.stock.set_psk(p.engine.public_key, new)
        p.add_ours(new, initiate=True)
        events_until(p.engine, PeerHandshake, 2 * KEYED_S)
        assert pings(p.near, FAR.ipv4)


def test_a_peer_that_moves_is_followed() -> None:
    with pair() as p:
        psk = os.urandom(32)
        p.add_theirs(psk, knows_us=True)
        p.add_ours(psk, initiate=True)
        events_until(p.engine, PeerHandshake)
        p.far.run(["wg", "set", p.stock.device, "listen-port", "51999"])
        assert pings(p.far, NEAR.ipv4)
        (peer,) = p.engine.counters().peers
        assert peer.path == (str(p.far.ipv4), 51999)
