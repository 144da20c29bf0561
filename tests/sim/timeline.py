"""Virtual time: what happens when."""

from __future__ import annotations

import heapq
from collections.abc import Callable

START = 1000.0  # of the monotonic clock: not zero, as after a boot


class Timeline:
    def __init__(self) -> None:
        self.now = START
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.now + delay_s, self._count, action))

    def next_at(self) -> float | None:
        return self._events[0][0] if self._events else None

    def run_due(self) -> None:
        """What is due at `now`, in the order in which it was planned."""
        while self._events and self._events[0][0] <= self.now:
            heapq.heappop(self._events)[2]()
