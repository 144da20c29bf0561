"""Initiations of nobody, as many as it takes to put a device under load."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import blake2s

from shadowmesh.lab.host import Host

from .wire_tap import MAC_BYTES, Kind

INITIATION_BYTES = 148
COOKIE_REPLY_BYTES = 64

_UDP_SEGMENT = 103  # one call sends what the kernel then cuts into datagrams of this size
_PER_SOCKET = 64  # UDP_MAX_SEGMENTS of older kernels
_SOCKETS_PER_ADDRESS = 2
# Four sockets send 256 within a millisecond: twice the waiting handshakes that wireguard-go takes for load, and what
# the receive buffer of its socket just holds. It is 25,600 a second, where load begins at 100 for the engine.
_INTERVAL_S = 0.01


def initiation(receiver: bytes) -> bytes:
    """148 bytes that only mac1 speaks for: it shows that the sender knows the receiver's public key."""
    body = bytes([Kind.INITIATION, 0, 0, 0]) + os.urandom(INITIATION_BYTES - 4 - 2 * MAC_BYTES)
    mac1_key = blake2s(b"mac1----" + receiver).digest()
    return body + blake2s(body, key=mac1_key, digest_size=MAC_BYTES).digest() + bytes(MAC_BYTES)


@dataclass(frozen=True, slots=True)
class Flood:
    sockets: list[socket.socket]

    def is_asked_for_cookies(self) -> bool:
        """Whether a cookie reply has come since the last look, to any of its addresses."""
        return sum(_drain_cookies(each) for each in self.sockets) > 0


@contextmanager
def flood(host: Host, receiver: bytes, target: tuple[str, int]) -> Iterator[Flood]:
    """Floods the target from all IPv4 addresses of the host, two ports of each, until the block is left."""
    with ExitStack() as stack:
        addresses = [str(address.ip) for address in host.addresses if address.version == 4]
        sockets = [stack.enter_context(host.socket()) for _ in addresses * _SOCKETS_PER_ADDRESS]
        for each, address in zip(sockets, addresses * _SOCKETS_PER_ADDRESS, strict=True):
            each.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, INITIATION_BYTES)
            each.bind((address, 0))
        burst = b"".join(initiation(receiver) for _ in range(_PER_SOCKET))
        is_over = threading.Event()

        def send() -> None:
            while not is_over.wait(_INTERVAL_S):
                for each in sockets:
                    each.sendto(burst, target)

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield Flood(sockets)
        finally:
            is_over.set()
            thread.join()


def _drain_cookies(each: socket.socket) -> int:
    """How many there were."""
    cookies = 0
    while True:
        try:
            reply = each.recv(2**16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return cookies
        cookies += len(reply) == COOKIE_REPLY_BYTES and reply[0] == Kind.COOKIE_REPLY
