"""Delays, loses and slows the frames between two interfaces: what netem does, for kernels built without it.

Run as a program of its own, in the switch's namespace, by its path and in isolated mode, so it imports nothing but
the standard library: `forwarder.py NEAR FAR DELAY_S LOSS RATE_BPS WAYS` (loss 0 to 1; rate 0 is no limit). Frames
from NEAR to FAR are impaired; those from FAR to NEAR too with WAYS 2, and with WAYS 1 they pass at once. Carries about
80,000 frames a second; a segmentation super-frame counts once, so that TCP between hosts reaches several Gbit/s.
SIGTERM delivers what is under way.
"""

import math
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from secrets import SystemRandom
from typing import NamedTuple, NoReturn

QUEUE_S = 0.1  # what a slow link holds before it drops: the buffer of an ordinary router
MAX_HELD_BYTES = 256 * 2**20  # 100 ms of 20 Gbit/s
BATCH_FRAMES = 64  # a turn: a flood in one direction cannot starve the other

_SOL_PACKET = 263
_PACKET_VNET_HDR = 15  # 10 bytes before each frame carry checksum and segmentation offload across
_PACKET_IGNORE_OUTGOING = 23
_VNET_HEADER_BYTES = 10
_ETH_P_ALL = 3
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_HIGHEST_PRIORITY = -20  # nice value
_SOCKET_BUFFER_BYTES = 16 * 2**20
_LARGEST_FRAME_BYTES = 2**18  # a segmentation super-frame is at most 64 KiB, 192 KiB with BIG TCP


class DelayLine:
    """A link as a queue: frames go in, and come out in order when they would have arrived.

    `now` is monotonic, in seconds; `chance` returns numbers from 0 to 1.
    """

    def __init__(self, delay_s: float, loss: float, rate_bps: float, chance: Callable[[], float]) -> None:
        self._delay_s = delay_s
        self._loss = loss
        self._rate_bps = rate_bps
        self._chance = chance
        self._sent_at = 0.0  # when the last bit of the last frame has left
        self._held_bytes = 0
        self._frames: deque[tuple[float, bytes]] = deque()

    def push(self, frame: bytes, now: float) -> None:
        """Takes a frame, or drops it: by chance, or because more than `QUEUE_S` seconds of frames wait."""
        if self._loss and self._chance() < self._loss:
            return
        if self._sent_at - now > QUEUE_S or self._held_bytes + len(frame) > MAX_HELD_BYTES:
            return
        self._sent_at = max(self._sent_at, now)
        if self._rate_bps:
            self._sent_at += (len(frame) - _VNET_HEADER_BYTES) * 8 / self._rate_bps
        self._held_bytes += len(frame)
        self._frames.append((self._sent_at + self._delay_s, frame))

    def due(self, now: float) -> Iterator[bytes]:
        """Yields the frames that have arrived by now."""
        while self._frames and self._frames[0][0] <= now:
            _, frame = self._frames.popleft()
            self._held_bytes -= len(frame)
            yield frame

    def next_at(self) -> float | None:
        """When the next frame arrives."""
        return self._frames[0][0] if self._frames else None


class Direction(NamedTuple):
    """From where to where frames go, and how."""

    source: socket.socket
    target: socket.socket
    line: DelayLine


def forward(directions: Sequence[Direction]) -> NoReturn:
    """Forwards until an exception ends it; then delivers at once what is under way."""
    try:
        _forward(directions)
    finally:
        for direction in directions:
            _deliver(direction, math.inf)


def _forward(directions: Sequence[Direction]) -> NoReturn:
    buffer = bytearray(_LARGEST_FRAME_BYTES)
    sources = [direction.source for direction in directions]
    while True:
        deadlines = [at for direction in directions if (at := direction.line.next_at()) is not None]
        # select, not epoll: its timeout has microseconds, that of epoll milliseconds.
        wait_s = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        readable, _, _ = select.select(sources, [], [], wait_s)
        for direction in directions:
            if direction.source in readable:
                for frame in _receive(direction.source, buffer):
                    direction.line.push(frame, time.monotonic())
            _deliver(direction, time.monotonic())


def _deliver(direction: Direction, now: float) -> None:
    for frame in direction.line.due(now):
        _send(direction.target, frame)


def _receive(source: socket.socket, buffer: bytearray) -> Iterator[bytes]:
    for _ in range(BATCH_FRAMES):
        try:
            length = source.recv_into(buffer)
        except OSError:
            return  # nothing more, or the interface went down; it may come up again
        yield bytes(memoryview(buffer)[:length])


def _send(target: socket.socket, frame: bytes) -> None:
    try:
        target.send(frame)
    except OSError:
        return  # the interface is down or full: a link loses such frames too


def _open(interface: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    for option in (_SO_SNDBUFFORCE, _SO_RCVBUFFORCE):
        _enlarge(opened, option)
    opened.bind((interface, _ETH_P_ALL))
    opened.setblocking(False)
    return opened


def _enlarge(target: socket.socket, option: int) -> None:
    try:
        target.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER_BYTES)
    except PermissionError:
        return  # in a user namespace the ordinary limit stays: fewer frames in a burst


def _go_first() -> None:
    """A cable does not wait until a busy processor has time for it."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _HIGHEST_PRIORITY)
    except PermissionError:
        return  # in a user namespace: delays are longer while the machine is busy


def main(arguments: list[str]) -> None:
    """Announces itself with the line "ready" once no frame is missed any more."""
    near, far, delay_s, loss, rate_bps, ways = arguments
    _go_first()
    there = DelayLine(float(delay_s), float(loss), float(rate_bps), SystemRandom().random)
    same = (float(delay_s), float(loss), float(rate_bps)) if ways == "2" else (0.0, 0.0, 0.0)
    back = DelayLine(*same, SystemRandom().random)
    with _open(near) as near_socket, _open(far) as far_socket:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        forward([Direction(near_socket, far_socket, there), Direction(far_socket, near_socket, back)])


if __name__ == "__main__":
    main(sys.argv[1:])
