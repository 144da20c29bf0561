"""Notices at once that this host's network has changed, or that the host has slept."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from shadowmesh.node import netlink
from shadowmesh.node.netlink import Change, LinkChange

DEBOUNCE_S = 0.1  # a change of network is a dozen messages: link, addresses of both families, routes
TICK_S = 1.0
MIN_SLEEP_S = 5.0  # a busy machine is seldom late by so much
# It goes on while the machine is suspended, which the loop's CLOCK_MONOTONIC does not: time_namespaces(7).
_BOOT_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_log = logging.getLogger(__name__)


def boot_time() -> float:
    return time.clock_gettime(_BOOT_CLOCK)


class SleepDetector:
    """Told the time of a clock that never stops, about each second."""

    def __init__(self, now: float) -> None:
        self._at = now

    def slept_s(self, now: float) -> float:
        """How long nothing ran before this moment; 0 when nothing is missing."""
        passed_s, self._at = now - self._at, now
        return passed_s if passed_s >= MIN_SLEEP_S else 0.0


async def watch_sleep(woke: Callable[[float], None], clock: Callable[[], float] = boot_time) -> None:
    """Until it is cancelled. Finds a process that was stopped by SIGSTOP too, and a virtual machine that was frozen."""
    detector = SleepDetector(clock())
    while True:
        await asyncio.sleep(TICK_S)
        if slept_s := detector.slept_s(clock()):
            _log.info("nothing ran here for %.0f s", slept_s)
            woke(slept_s)


class ReturnedLinks:
    """Counts how often each link came up: a network may have changed although its addresses are the same."""

    def __init__(self, ignored: str | None) -> None:
        self._ignored = ignored
        self._running: dict[int, bool] = {}
        self.counts: dict[str, int] = {}

    def take(self, changes: Sequence[Change]) -> bool:
        """Whether there is anything to look at."""
        taken = [self._take(change) for change in changes]
        return any(taken)

    def _take(self, change: Change) -> bool:
        if not isinstance(change, LinkChange):
            return True
        before = self._running.get(change.index)
        self._running[change.index] = change.running
        if change.name == self._ignored or before is change.running:
            return False
        if change.running and before is False:
            self.counts[change.name] = self.counts.get(change.name, 0) + 1
        return True


class NetworkWatch:
    """Calls `changed` a tenth of a second after the kernel told of a link, an address or a default route."""

    def __init__(self, changed: Callable[[], None], *, ignored: str | None) -> None:
        """`ignored`: our own TUN device. Must run inside the event loop."""
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.links = ReturnedLinks(ignored)
        self._socket: socket.socket | None = None
        try:
            self._socket = netlink.open_socket()
        except OSError as error:
            _log.info("changes of the network are looked for each few seconds: no netlink here (%s)", error)
        else:
            self._loop.add_reader(self._socket, self._readable, self._socket)

    def close(self) -> None:
        """Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _readable(self, listener: socket.socket) -> None:
        try:
            changes = netlink.decode(listener.recv(netlink.MAX_DATAGRAM_BYTES))
        except BlockingIOError:
            return
        except OSError:  # ENOBUFS: more was said than fits
            changes = [netlink.RouteChange()]
        if self.links.take(changes) and self._timer is None:
            self._timer = self._loop.call_later(DEBOUNCE_S, self._settled)

    def _settled(self) -> None:
        self._timer = None
        self._changed()
