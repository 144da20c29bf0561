"""The engine and a stock WireGuard device understand each other."""

import os

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shadowmesh._engine import PeerHandshake

from .engine_lab import FAR, KEYED_S, NEAR, events_until, pings, transfers, until
from .stock_lab import Pair, pair
from .wire_tap import Kind, Tap

pytestmark = pytest.mark.privileged

outer = pytest.mark.parametrize("outer", ["ipv4", "ipv6"])


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


def test_nothing_passes_until_they_know_our_key() -> None:
    with pair() as p, Tap(p.far) as tap:
        psk = os.urandom(32)
        p.stock.set_peer(another_key(), psk, NEAR, p.ours_at())
        p.add_ours(psk, initiate=True)
        assert_nothing_passes(p, tap)
        p.add_theirs(psk, knows_us=True)
        assert pings(p.far, NEAR.ipv4)


def test_nothing_passes_until_we_know_their_key() -> None:
    with pair() as p, Tap(p.far) as tap:
        psk = os.urandom(32)
        p.add_theirs(psk, knows_us=True)
        wrong = another_key()
        p.engine.add_peer(wrong, psk, p.theirs_at(), FAR.prefixes, initiate=True)
        assert_nothing_passes(p, tap)
        p.engine.remove_peer(wrong)
        p.add_ours(psk)
        assert pings(p.near, FAR.ipv4)


def another_key() -> bytes:
    return X25519PrivateKey.generate().public_key().public_bytes_raw()


def assert_nothing_passes(p: Pair, tap: Tap) -> None:
    """Either has asked, neither has answered, and we have refused all of theirs."""
    assert not pings(p.near, FAR.ipv4)
    assert not pings(p.far, NEAR.ipv6)
    assert tap.seen(Kind.INITIATION, p.ours_at())
    until(lambda: 0 < p.engine.counters().drops["wireguard_refused"] == len(tap.seen(Kind.INITIATION, p.theirs_at())))
    assert {each.kind for each in tap.all()} == {Kind.INITIATION}
    assert p.engine.counters().peers[0].handshake_age_s is None
    assert not p.engine.drain()


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
