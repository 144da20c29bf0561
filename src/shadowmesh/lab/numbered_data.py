"""Numbered data between two ends, and when it arrived: how long did it stand still?"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from shadowmesh.lab.errors import LabError

INTERVAL_S = 0.02
STEADY_S = 3.0  # that long without a gap, and the flow has recovered
GAP_S = 0.15  # a busy machine makes smaller ones
_NUMBER = struct.Struct("!Q")
_POLL_S = 0.1
_CONNECT_S = 30.0


@dataclass(frozen=True, slots=True)
class End:
    """Where data begins or ends. `open` makes a socket there, as `Host.socket` does."""

    open: Callable[[socket.AddressFamily, socket.SocketKind], socket.socket]
    address: str

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.address else socket.AF_INET


@dataclass
class Arrivals:
    """When numbered data came, in seconds of the monotonic clock. `broken` says what was wrong with it."""

    times: list[float] = field(default_factory=list)
    count: int = 0
    broken: str = ""

    def recovered_s(self, since: float) -> float | None:
        """The end of the last gap after that moment; None while the flow is not steady again."""
        times = [since, *(at for at in list(self.times) if at > since)]
        late = [later for earlier, later in pairwise(times) if later - earlier > GAP_S]
        steady_since = late[-1] if late else since
        return steady_since - since if len(times) > 1 and times[-1] >= steady_since + STEADY_S else None


@contextmanager
def numbered_data(near: End, far: End) -> Iterator[tuple[Arrivals, Arrivals]]:
    """Until the block ends: one TCP connection from near to far, and datagrams from far to near that are not answered.

    Raises OSError when there is no connection within 30 s.
    """
    with ExitStack() as stack:
        stop = threading.Event()
        stream, packets = Arrivals(), Arrivals()
        threads = [*_stream(near, far, stream, stop, stack), *_packets(far, near, packets, stop, stack)]
        for thread in threads:
            thread.start()
        try:
            yield stream, packets
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def wait_recovered(flow: Arrivals, since: float, limit_s: float) -> float:
    """Seconds until the flow was steady again. Raises LabError."""
    deadline = time.monotonic() + limit_s
    while (recovered_s := flow.recovered_s(since)) is None:
        if flow.broken or time.monotonic() > deadline:
            raise LabError(flow.broken or f"nothing in a row within {limit_s} s; {flow.count} arrived in all")
        time.sleep(_POLL_S)
    return recovered_s


def _stream(
    sender: End, receiver: End, arrivals: Arrivals, stop: threading.Event, stack: ExitStack
) -> list[threading.Thread]:
    listening = stack.enter_context(receiver.open(receiver.family, socket.SOCK_STREAM))
    listening.bind((receiver.address, 0))
    listening.listen(1)
    sending = stack.enter_context(sender.open(sender.family, socket.SOCK_STREAM))
    sending.settimeout(_CONNECT_S)
    sending.connect(listening.getsockname())
    receiving = stack.enter_context(listening.accept()[0])
    sending.settimeout(_POLL_S)
    receiving.settimeout(_POLL_S)

    def send() -> None:
        pending, number = b"", 0
        while not stop.wait(INTERVAL_S):
            pending += _NUMBER.pack(number)
            number += 1
            try:
                pending = pending[sending.send(pending) :]
            except TimeoutError:
                continue
            except OSError as error:
                arrivals.broken = f"the connection broke: {error}"
                return

    receive = threading.Thread(target=receive_stream, args=(receiving, arrivals, stop))
    return [threading.Thread(target=send), receive]


def receive_stream(receiving: socket.socket, arrivals: Arrivals, stop: threading.Event) -> None:
    """Until `stop`, or until the connection breaks. `receiving` has a timeout."""
    held = b""
    while not stop.is_set():
        try:
            received = receiving.recv(65536)
        except TimeoutError:
            continue
        except OSError as error:
            arrivals.broken = f"the connection broke: {error}"
            return
        if not received:
            arrivals.broken = "the connection was closed"
            return
        held += received
        while len(held) >= _NUMBER.size:
            (number,) = _NUMBER.unpack_from(held)
            held = held[_NUMBER.size :]
            if number != arrivals.count:
                arrivals.broken = f"number {number} came instead of {arrivals.count}"
            arrivals.count += 1
        arrivals.times.append(time.monotonic())


def _packets(
    sender: End, receiver: End, arrivals: Arrivals, stop: threading.Event, stack: ExitStack
) -> list[threading.Thread]:
    sending = stack.enter_context(sender.open(sender.family, socket.SOCK_DGRAM))
    sending.setblocking(False)
    receiving = stack.enter_context(receiver.open(receiver.family, socket.SOCK_DGRAM))
    receiving.bind((receiver.address, 0))
    receiving.settimeout(_POLL_S)
    destination = receiving.getsockname()

    def send() -> None:
        number = 0
        while not stop.wait(INTERVAL_S):
            number += 1
            try:
                sending.sendto(_NUMBER.pack(number), destination)
            except OSError:
                continue  # there is no way at this moment

    def receive() -> None:
        while not stop.is_set():
            try:
                receiving.recv(64)
            except TimeoutError:
                continue
            arrivals.count += 1
            arrivals.times.append(time.monotonic())

    return [threading.Thread(target=send), threading.Thread(target=receive)]
