"""The engine and a stock WireGuard device follow each other to another address."""

import pytest

from shadowmesh._engine import PeerRoamed

from .engine_lab import FAR, NEAR, events_until, pings, until
from .stock_lab import Pair, Side, pair

pytestmark = pytest.mark.privileged

NEW_ADDRESS = "198.18.9.9"
NEW_PORT = 51999


def test_we_follow_them_to_another_port() -> None:
    with pair() as p:
        p.connect(Side.OURS)
        p.stock.set_port(NEW_PORT)
        assert pings(p.far, NEAR.ipv4)
        assert p.engine.counters().peers[0].path == (str(p.far.ipv4), NEW_PORT)


def test_we_follow_their_keepalives_to_another_port() -> None:
    with pair() as p:
        p.connect(Side.THEIRS, keepalive_s=1)
        p.stock.set_port(NEW_PORT)
        events_until(p.engine, PeerRoamed)
        assert p.engine.counters().peers[0].path == (str(p.far.ipv4), NEW_PORT)
        assert p.pings_both_ways()


def test_they_follow_us_to_another_address() -> None:
    with pair() as p:
        p.connect(Side.OURS)
        old = p.near.ipv4
        p.near.namespace.ip([f"address del {old}/17 dev eth0", f"address add {NEW_ADDRESS}/17 dev eth0"])
        assert pings(p.near, FAR.ipv4)
        assert p.stock.endpoint_of(p.engine.public_key) == (NEW_ADDRESS, p.engine.port)
        assert p.pings_both_ways()
        assert not p.engine.drain()


def test_they_follow_us_when_a_nat_gives_us_another_port() -> None:
    with pair() as p:
        map_port(p, NEW_PORT)
        p.connect(Side.OURS)
        assert p.stock.endpoint_of(p.engine.public_key) == (str(p.near.ipv4), NEW_PORT)
        map_port(p, NEW_PORT + 1)
        assert pings(p.near, FAR.ipv4)
        assert p.stock.endpoint_of(p.engine.public_key) == (str(p.near.ipv4), NEW_PORT + 1)
        assert p.pings_both_ways()
        assert not p.engine.drain()


def test_they_follow_our_keepalives_when_a_nat_gives_us_another_port() -> None:
    with pair() as p:
        p.connect(Side.OURS, keepalive_s=1)
        map_port(p, NEW_PORT)
        until(lambda: p.stock.endpoint_of(p.engine.public_key) == (str(p.near.ipv4), NEW_PORT))
        assert pings(p.far, NEAR.ipv4)
        assert not p.engine.drain()


def map_port(p: Pair, port: int) -> None:
    """From now on the engine's port is this one to others, and no other port leads to it: a NAT that keeps no state."""
    rules = f"""
        add table ip nat_rebind
        delete table ip nat_rebind
        table ip nat_rebind {{
            chain out {{
                type filter hook postrouting priority raw
                udp sport {p.engine.port} udp sport set {port}
            }}
            chain in {{
                type filter hook prerouting priority raw
                udp dport {p.engine.port} drop
                udp dport {port} udp dport set {p.engine.port}
            }}
        }}
    """
    p.near.run(["nft", "-f", "-"], stdin=rules)
