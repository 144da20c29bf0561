"""Datagrams of nobody, as many as it takes to put a node under load."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle

from shadowmesh.lab.host import Host
from shadowmesh.lab.repeated import repeated

COOKIE_REPLY_BYTES = 64  # WireGuard's and our own

_UDP_SEGMENT = 103  # one call sends what the kernel then cuts into datagrams of this size
_MAX_BURST_BYTES = 65_000
_MAX_BURST = 64  # UDP_MAX_SEGMENTS of older kernels
_SOCKETS_PER_ADDRESS = 2
# Four sockets send 256 initiations within a millisecond: twice the waiting handshakes that wireguard-go takes for load,
# and what the receive buffer of its socket just holds. It is 25,600 a second, where load begins at 100 for the engine.
_INTERVAL_S = 0.01


@dataclass(frozen=True, slots=True)
class Flood:
    sockets: list[socket.socket]
    cookie_reply: int  # its first byte

    def is_asked_for_cookies(self) -> bool:
        """Whether a cookie reply has come since the last look, to any of its addresses."""
        return sum(map(self._drain_cookies, self.sockets)) > 0

    def _drain_cookies(self, each: socket.socket) -> int:
        """How many there were."""
        cookies = 0
        while True:
            try:
                reply = each.recv(2**16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return cookies
            cookies += len(reply) == COOKIE_REPLY_BYTES and reply[0] == self.cookie_reply


@contextmanager
def flood(host: Host, datagrams: Sequence[bytes], target: tuple[str, int], *, cookie_reply: int) -> Iterator[Flood]:
    """Floods the target from all IPv4 addresses of the host, two ports of each, until the block is left.

    `datagrams`: of one size; each burst has the next of them.
    """
    size = len(datagrams[0])
    count = min(_MAX_BURST, _MAX_BURST_BYTES // size)
    bursts = [b"".join(datagrams[at : at + count]) for at in range(0, len(datagrams), count)]
    with ExitStack() as stack:
        addresses = [str(address.ip) for address in host.addresses if address.version == 4]
        sockets = [stack.enter_context(host.socket()) for _ in addresses * _SOCKETS_PER_ADDRESS]
        for each, address in zip(sockets, addresses * _SOCKETS_PER_ADDRESS, strict=True):
            each.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, size)
            each.bind((address, 0))
        next_bursts = cycle(bursts)

        def send() -> None:
            for each in sockets:
                each.sendto(next(next_bursts), target)

        with repeated(send, _INTERVAL_S):
            yield Flood(sockets, cookie_reply)
