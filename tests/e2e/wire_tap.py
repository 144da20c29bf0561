"""The WireGuard datagrams that pass an interface, as copies."""

import socket
import struct
from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from types import TracebackType
from typing import Self

from shadowmesh.lab.host import Host

Endpoint = tuple[str, int]

MAC_BYTES = 16
_KEEPALIVE_BYTES = 32

_ETH_P_ALL = 3  # anything else does not see what the host itself sends
_ETH_P_IP = 0x0800
_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 16 * 2**20  # some seconds of what the tests send, should they not look for so long


class Kind(IntEnum):
    """The first byte; the three after it are zero."""

    INITIATION = 1
    RESPONSE = 2
    COOKIE_REPLY = 3
    DATA = 4


_FIRST_BYTES = frozenset(bytes([kind, 0, 0, 0]) for kind in Kind)
HANDSHAKE = frozenset({Kind.INITIATION, Kind.RESPONSE, Kind.COOKIE_REPLY})


@dataclass(frozen=True, slots=True)
class Tapped:
    source: Endpoint
    destination: Endpoint
    payload: bytes

    @property
    def kind(self) -> Kind:
        return Kind(self.payload[0])

    @property
    def is_keepalive(self) -> bool:
        """Header and tag of a data message, and nothing between them."""
        return self.kind == Kind.DATA and len(self.payload) == _KEEPALIVE_BYTES

    @property
    def has_mac2(self) -> bool:
        """Of an initiation or a response: whether a cookie went into it."""
        return self.payload[-MAC_BYTES:] != bytes(MAC_BYTES)


class Tap:
    """Reads along at a host's eth0, over IPv4, in both directions; keeps the `kinds` asked for."""

    def __init__(self, host: Host, kinds: Collection[Kind] = tuple(Kind)) -> None:
        self._kinds = frozenset(kinds)
        self._tapped: list[Tapped] = []
        self._socket = host.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        with host.enter():
            self._socket.bind(("eth0", _ETH_P_ALL))
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def all(self) -> list[Tapped]:
        """Everything so far, oldest first."""
        while True:
            try:
                packet, address = self._socket.recvfrom(2**16)
            except BlockingIOError:
                return list(self._tapped)
            tapped = _parse(packet) if address[1] == _ETH_P_IP else None
            if tapped is not None and tapped.kind in self._kinds:
                self._tapped.append(tapped)

    def seen(self, kind: Kind, source: Endpoint | None = None) -> list[Tapped]:
        return [each for each in self.all() if each.kind == kind and source in (None, each.source)]


def _parse(packet: bytes) -> Tapped | None:
    """Of an IPv4 packet; None if it carries no WireGuard."""
    header = 4 * (packet[0] & 0x0F)
    payload = packet[header + 8 :]
    if packet[9] != socket.IPPROTO_UDP or payload[:4] not in _FIRST_BYTES:
        return None
    source, destination = (socket.inet_ntoa(packet[at : at + 4]) for at in (12, 16))
    source_port, destination_port = struct.unpack_from("!HH", packet, header)
    return Tapped((source, source_port), (destination, destination_port), payload)
