"""One deadline of the mesh as one timer of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

MIN_DELAY_S = 0.001
"""A deadline in the past is a bug of the machine that set it; it must not stop the loop from doing anything else."""


class Timer:
    def __init__(self, loop: asyncio.AbstractEventLoop, due: Callable[[], None]) -> None:
        self._loop = loop
        self._due = due
        self._deadline: float | None = None
        self._handle: asyncio.TimerHandle | None = None

    def arm(self, deadline: float | None) -> None:
        """`deadline` on the loop's clock; None: none. The timer is moved only if the deadline moved."""
        if self._handle is not None and deadline == self._deadline:
            return
        self.cancel()
        self._deadline = deadline
        if deadline is not None:
            self._handle = self._loop.call_at(max(deadline, self._loop.time() + MIN_DELAY_S), self._fire)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        self._due()
