"""The packet engine: one UDP port, one TUN device and the WireGuard protocol between them, in Rust threads.

The engine knows no identities, records or policy. Whatever arrives on its UDP port that is neither a
WireGuard datagram nor a relay frame (first-byte table: docs/spec/datagrams.md) is handed up by `drain`.
No engine thread ever enters Python: it pushes to a bounded queue and writes one wake byte to `wake_fd`
when the queue turns from empty to non-empty.
"""

from collections.abc import Sequence
from typing import ClassVar, final

__all__ = [
    "EngineError",
    "Engine",
    "Counters",
    "PeerCounters",
    "ControlDatagram",
    "UnroutedPacket",
    "PeerHandshake",
    "PeerRoamed",
    "EngineFailed",
    "Event",
]

class EngineError(Exception):
    """The system refused something (TUN device, UDP port, address), or the engine has stopped. One clear line."""

@final
class ControlDatagram:
    """A datagram for Python: STUN, or one of our control types (first byte 0x40 and above, but for 0x50)."""

    @property
    def payload(self) -> bytes: ...
    @property
    def source(self) -> tuple[str, int]:
        """IP address (an IPv4 address is never written in its IPv6-mapped form) and UDP port."""
    @property
    def via(self) -> int:
        """The local port that it came to: 0 for the main one, otherwise one of `open_ports`."""

@final
class UnroutedPacket:
    """A packet left this host for an overlay address that no peer has. At most one event a second for an address.

    The engine holds up to 64 such packets for 3 s and sends them when `add_peer` brings the address;
    otherwise it answers each with ICMP destination unreachable.
    """

    @property
    def destination(self) -> str: ...

@final
class PeerHandshake:
    """A WireGuard handshake with this peer completed (the first one, or a rekey)."""

    @property
    def public_key(self) -> bytes: ...

@final
class PeerRoamed:
    """Authenticated datagrams of this peer come from another address than its path leads to.

    The engine has followed a peer that it is to follow; of another one this is told every 200 ms at most.
    """

    @property
    def public_key(self) -> bytes: ...
    @property
    def source(self) -> tuple[str, int]: ...
    @property
    def via(self) -> int:
        """The local port that they come to."""

@final
class EngineFailed:
    """An engine thread ended for good (the TUN device was removed, for instance). Nothing flows any more."""

    @property
    def reason(self) -> str: ...

Event = ControlDatagram | UnroutedPacket | PeerHandshake | PeerRoamed | EngineFailed

@final
class PeerCounters:
    @property
    def public_key(self) -> bytes: ...
    @property
    def path(self) -> tuple[str, int]: ...
    @property
    def tx_bytes(self) -> int:
        """Bytes of inner packets sealed for this peer."""
    @property
    def rx_bytes(self) -> int:
        """Bytes of inner packets opened and accepted from this peer."""
    @property
    def tx_packets(self) -> int: ...
    @property
    def rx_packets(self) -> int: ...
    @property
    def handshake_age_s(self) -> float | None:
        """Seconds since the last completed WireGuard handshake; None before the first."""

@final
class Counters:
    """One consistent snapshot."""

    @property
    def peers(self) -> list[PeerCounters]: ...
    @property
    def drops(self) -> dict[str, int]:
        """Dropped packets and datagrams by reason (names are stable: they are metrics labels)."""
    @property
    def control_received(self) -> int: ...
    @property
    def control_sent(self) -> int: ...

@final
class Engine:
    def __new__(
        cls,
        *,
        private_key: bytes,
        port: int = 0,
        tun: str | None = None,
        addresses: Sequence[str] = (),
        mtu: int = 1280,
        without: Sequence[str] = (),
    ) -> Engine:
        """Opens the UDP port (IPv4 and IPv6, all interfaces) and the TUN device and starts the threads.

        private_key: 32-byte X25519 static key. port: 0 lets the system choose. tun: name of the device
        to make (a `%d` is numbered by the kernel); None opens no device: packets of peers are counted and dropped.
        addresses: the device's own addresses with prefix length, e.g. "fd5a:1::7/48"; the kernel adds the
        connected route; packets of peers are let through to these addresses and to nothing behind them.
        without: abilities of the kernel not to use, of "tun_checksum", "tun_tso", "tun_uso", "udp_gso", "udp_gro": for
        a driver that gets one wrong, and for finding that out. Each works as well when the kernel has none.
        All of it disappears with the engine or its process. Raises EngineError, ValueError.
        """
    has_aes: ClassVar[bool]
    """Whether this processor has AES instructions; without them "aes256gcm" is the slower cipher."""
    @property
    def port(self) -> int: ...
    @property
    def tun(self) -> str | None: ...
    @property
    def public_key(self) -> bytes:
        """X25519 public key, 32 bytes."""
    @property
    def wake_fd(self) -> int:
        """Non-blocking descriptor, readable while `drain` has something to give; `drain` empties it."""
    def drain(self, limit: int = 256) -> list[Event]:
        """Takes up to `limit` events, oldest first. When more are left, `wake_fd` stays readable."""
    def guard(self, *, mac1_key: bytes, cookie_key: bytes) -> None:
        """From now on a STUN or control datagram is handed up only if the node expects it: with an id that is open
        (docs/spec/datagrams.md, section 5), or of M1 with a good mac1 (docs/spec/session.md, sections 2 and 6.3). Under
        load it is asked for a cookie, which the engine makes, and checks. Keys: 32 bytes each. Raises ValueError,
        EngineError."""
    def open_id(self, id: bytes) -> None:
        """8 bytes. Nothing if it is open, or before `guard`. Raises ValueError, EngineError."""
    def close_id(self, id: bytes) -> None:
        """Nothing if it is not open. Raises ValueError, EngineError."""
    def demand_cookies(self, demanded: bool) -> None:
        """While it holds, no M1 is handed up without a cookie, however few come. Raises EngineError."""
    def open_ports(self, count: int) -> list[int]:
        """Opens UDP ports besides the main one, at most 1,280 in all. Returns their numbers: fewer than `count`
        when the system does not give as many. Raises EngineError."""
    def close_ports(self, ports: Sequence[int]) -> None:
        """Nothing for those that are not open. Paths through them lead nowhere then. Raises EngineError."""
    def send(self, payloads: Sequence[bytes], destination: tuple[str, int], *, via: int = 0) -> None:
        """Sends control datagrams (1 to 1,312 bytes each; best effort, like UDP), from the main port or from one of
        `open_ports`. Waits up to 10 ms for room in the socket's buffer. Raises ValueError, EngineError."""
    def add_peer(
        self,
        public_key: bytes,
        psk: bytes,
        path: tuple[str, int],
        allowed_ips: Sequence[str],
        *,
        initiate: bool = False,
        keepalive_s: int = 0,
        cipher: str = "chacha20poly1305",
        via: int = 0,
        follow: bool = True,
    ) -> None:
        """Installs a WireGuard peer, or replaces PSK, path and allowed addresses of the one that is there.

        psk: 32 bytes, never all zero. allowed_ips: prefixes whose packets go to, and are accepted from, this
        peer only; a prefix that another peer has is refused. initiate: start the handshake now; one that was
        started less than 2 s ago is repeated after 0.25 s if it is not answered until then, an older one now; a
        session with this PSK that is there already is left alone.
        A handshake that the peer itself began in the 2 s before it was added is answered at once (of the last 16
        such keys), so it need not wait until it has been installed.
        cipher: "chacha20poly1305", which is WireGuard's, or "aes256gcm", which only another ShadowMesh node
        understands. It seals the packets, not the handshake, which says nothing of it: the caller sees to it that
        both sides have the same. With a new PSK it may change too.
        via: the local port that the path begins at, 0 for the main one. follow: whether the path moves to wherever
        authentic datagrams of the peer come from, as in WireGuard; otherwise PeerRoamed tells of it, and `set_path`
        moves it.
        When the peer is there already, its old session goes on carrying data until the new PSK's handshake is done.
        Raises ValueError, EngineError.
        """
    def set_path(self, public_key: bytes, path: tuple[str, int], *, via: int = 0) -> None:
        """Raises KeyError when there is no such peer."""
    def path_is_narrow(self, public_key: bytes) -> None:
        """Full packets are lost on this peer's IPv6 path, and no router says so: has the kernel send fragments there
        for the next ten minutes, as it would if one did. Nothing over IPv4, whose routers fragment. Raises KeyError,
        EngineError."""
    def remove_peer(self, public_key: bytes) -> None:
        """Forgets the peer and its keys. No error when it is not there."""
    def counters(self) -> Counters: ...
    def stop(self) -> None:
        """Stops and joins the threads, closes port and device. Idempotent; also runs at interpreter exit."""
