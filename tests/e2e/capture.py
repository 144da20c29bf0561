"""What crosses an interface of a host, as IP packets."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shadowmesh.lab.host import Host

_ALL_PROTOCOLS = 0x0003
_SO_RCVBUFFORCE = 33
_SNAP_BYTES = 256
_BUFFER_BYTES = 64 << 20
_IPV6_HEADER_BYTES = 40


@dataclass(frozen=True, slots=True)
class Captured:
    """A packet, or a super-packet before the kernel has cut it."""

    length: int
    head: bytes  # at most 256 bytes
    is_outgoing: bool

    @property
    def is_ipv4(self) -> bool:
        return self.head[0] >> 4 == 4

    @property
    def traffic_class(self) -> int:
        return self.head[1] if self.is_ipv4 else int.from_bytes(self.head[:2], "big") >> 4 & 0xFF

    @property
    def is_fragment(self) -> bool:
        if self.is_ipv4:
            return int.from_bytes(self.head[6:8], "big") & 0x3FFF != 0
        return self.head[6] == socket.IPPROTO_FRAGMENT

    @property
    def udp_payload(self) -> bytes:
        """Its beginning; empty where there is none, or where it is a fragment."""
        protocol, at = (self.head[9], self.head[0] % 16 * 4) if self.is_ipv4 else (self.head[6], _IPV6_HEADER_BYTES)
        return self.head[at + 8 :] if protocol == socket.IPPROTO_UDP and not self.is_fragment else b""


class Capture:
    def __init__(self, tap: socket.socket) -> None:
        self._tap = tap

    def packets(self) -> list[Captured]:
        """All IP packets since the last call, in both directions."""
        found: list[Captured] = []
        buffer = bytearray(_SNAP_BYTES)
        while True:
            try:
                length, (_, _, kind, *_) = self._tap.recvfrom_into(buffer, 0, socket.MSG_TRUNC)
            except BlockingIOError:
                return found
            if buffer[0] >> 4 in (4, 6):
                found.append(Captured(length, bytes(buffer[:length]), kind == socket.PACKET_OUTGOING))


@contextmanager
def capture(host: Host, interface: str) -> Iterator[Capture]:
    with host.enter():
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL_PROTOCOLS))
    with tap:
        tap.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        tap.bind((interface, _ALL_PROTOCOLS))
        tap.setblocking(False)
        yield Capture(tap)
