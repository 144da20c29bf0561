"""Sockets on the internet that tell a host what it looks like from there."""

import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Self

Endpoint = tuple[str, int]  # address and UDP port; IPv6 without scope
OpenSocket = Callable[[int], socket.socket]  # takes the address family; `Host.socket` is one

_LARGEST = 2048


class Observers:
    """Two ports at each of several addresses, as RFC 5780 wants them; a context manager.

    They stand in one process with the host that is looked at: what they see is read here, no answer can be lost.
    """

    def __init__(self, places: Sequence[tuple[OpenSocket, str]]) -> None:
        self._places = tuple(places)
        self._stack = ExitStack()
        self._sockets: list[tuple[socket.socket, socket.socket]] = []

    def __enter__(self) -> Self:
        for opener, address in self._places:
            first, second = (self._stack.enter_context(bound(opener, address)) for _ in range(2))
            self._sockets.append((first, second))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def at(self, place: int, port: int) -> socket.socket:
        """The socket at the first or second port (0 or 1) of a place."""
        return self._sockets[place][port]


def bound(opener: OpenSocket, address: str, port: int = 0) -> socket.socket:
    """A UDP socket at the address; port 0 is a free one."""
    opened = opener(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        opened.bind((address, port))
    except OSError:
        opened.close()
        raise
    return opened


def endpoint(of: socket.socket) -> Endpoint:
    """Where the socket is bound."""
    address, port, *_ = of.getsockname()
    return address, port


def receive(at: socket.socket, wanted: bytes, timeout_s: float) -> Endpoint | None:
    """Waits for a datagram with this content and returns its source, or None; drops all others."""
    return receive_until(at, wanted, timeout_s).get(wanted)


def receive_until(at: socket.socket, last: bytes, timeout_s: float) -> dict[bytes, Endpoint]:
    """What arrives up to the datagram with this content, or within the time, by content, with its source."""
    deadline = time.monotonic() + timeout_s
    arrived: dict[bytes, Endpoint] = {}
    while last not in arrived and select.select([at], [], [], max(0.0, deadline - time.monotonic()))[0]:
        data, (address, port, *_) = at.recvfrom(_LARGEST)
        arrived[data] = (address, port)
    return arrived
