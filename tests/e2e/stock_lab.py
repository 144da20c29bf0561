"""Debian's wireguard-go beside an engine, on two hosts of a small network."""

import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum

from shadowmesh._engine import Engine, PeerHandshake
from shadowmesh.lab.host import Host
from shadowmesh.lab.network import Network

from .engine_lab import FAR, KEYED_S, NEAR, Overlay, engine_on, events_until, pings, until


@dataclass(slots=True)
class StockWireguard:
    """wireguard-go, told what to do by `wg`."""

    host: Host
    device: str
    public_key: bytes
    port: int = 51820

    def set_peer(
        self,
        public_key: bytes,
        psk: bytes,
        overlay: Overlay,
        endpoint: tuple[str, int] | None,
        keepalive_s: int = 0,
    ) -> None:
        address = [] if endpoint is None else ["endpoint", f"[{endpoint[0]}]:{endpoint[1]}"]
        # The PSK first: with a keepalive the handshake begins at once.
        self.set_psk(public_key, psk)
        allowed_ips = ["allowed-ips", ",".join(overlay.prefixes)]
        self._set("peer", _text(public_key), *address, *allowed_ips, "persistent-keepalive", str(keepalive_s))

    def set_psk(self, public_key: bytes, psk: bytes) -> None:
        self._set("peer", _text(public_key), "preshared-key", "/dev/stdin", stdin=_text(psk))

    def set_port(self, port: int) -> None:
        self._set("listen-port", str(port))
        self.port = port

    def forget_sessions(self, public_key: bytes) -> None:
        """Removes the peer, keys and all."""
        self._set("peer", _text(public_key), "remove")

    def endpoint_of(self, public_key: bytes) -> tuple[str, int] | None:
        """Where the peer was heard last, or is to be found; None if it is not known."""
        address, _, port = self._show(public_key, "endpoints").rpartition(":")
        return (address.strip("[]"), int(port)) if address else None

    def handshake_at(self, public_key: bytes) -> int:
        """When the last handshake with the peer was completed, in seconds of the wall clock; 0 before the first."""
        return int(self._show(public_key, "latest-handshakes"))

    def _show(self, public_key: bytes, what: str) -> str:
        lines = self.host.run(["wg", "show", self.device, what]).stdout.splitlines()
        values = dict(line.split("\t", maxsplit=1) for line in lines)
        return values[_text(public_key)]

    def _set(self, *arguments: str, stdin: str = "") -> None:
        self.host.run(["wg", "set", self.device, *arguments], stdin=stdin)


@contextmanager
def stock_on(host: Host, overlay: Overlay) -> Iterator[StockWireguard]:
    # Its control socket lies in a directory that all namespaces share, so the name must be ours alone.
    device = f"wg{os.urandom(4).hex()}"
    process = host.start(["wireguard-go", "-f", device], env={"LOG_LEVEL": "error"})
    try:
        until(lambda: host.run(["wg", "show", device], check=False).returncode == 0)
        private_key = host.run(["wg", "genkey"]).stdout
        public_key = host.run(["wg", "pubkey"], stdin=private_key).stdout
        stock = StockWireguard(host, device, b64decode(public_key))
        host.run(["wg", "set", device, "listen-port", str(stock.port), "private-key", "/dev/stdin"], stdin=private_key)
        addresses = [f"address add {address} dev {device}" for address in overlay.interface]
        host.namespace.ip([*addresses, f"link set {device} mtu 1280 up"])
        yield stock
    finally:
        process.stop()


class Side(Enum):
    OURS = "ours"
    THEIRS = "theirs"


@dataclass(slots=True)
class Pair:
    """An engine on the host `near`, a stock device on the host `far`."""

    network: Network
    near: Host
    far: Host
    engine: Engine
    stock: StockWireguard
    outer: str

    def ours_at(self) -> tuple[str, int]:
        return (str(self.near.ipv4 if self.outer == "ipv4" else self.near.ipv6), self.engine.port)

    def theirs_at(self) -> tuple[str, int]:
        return (str(self.far.ipv4 if self.outer == "ipv4" else self.far.ipv6), self.stock.port)

    def add_ours(self, psk: bytes, *, initiate: bool = False, keepalive_s: int = 0) -> None:
        self.engine.add_peer(
            self.stock.public_key, psk, self.theirs_at(), FAR.prefixes, initiate=initiate, keepalive_s=keepalive_s
        )

    def add_theirs(self, psk: bytes, *, knows_us: bool, keepalive_s: int = 0) -> None:
        endpoint = self.ours_at() if knows_us else None
        self.stock.set_peer(self.engine.public_key, psk, NEAR, endpoint, keepalive_s)

    def connect(self, initiator: Side, *, keepalive_s: int = 0) -> None:
        """Gives both a PSK and waits for the handshake; the initiator sends the keepalives."""
        psk = os.urandom(32)
        if initiator is Side.OURS:
            self.add_theirs(psk, knows_us=False)
            self.add_ours(psk, initiate=True, keepalive_s=keepalive_s)
        else:
            self.add_ours(psk)
            self.add_theirs(psk, knows_us=True, keepalive_s=keepalive_s)
            assert pings(self.far, NEAR.ipv4)
        events_until(self.engine, PeerHandshake, KEYED_S)

    def pings_both_ways(self) -> bool:
        return pings(self.near, FAR.ipv6) and pings(self.far, NEAR.ipv4)


@contextmanager
def pair(outer: str = "ipv4") -> Iterator[Pair]:
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        near, far = network.host("near"), network.host("far")
        stock = stack.enter_context(stock_on(far, FAR))
        engine = stack.enter_context(engine_on(near, NEAR))
        yield Pair(network, near, far, engine, stock, outer)


def _text(key: bytes) -> str:
    return b64encode(key).decode()
