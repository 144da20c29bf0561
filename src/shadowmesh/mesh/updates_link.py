"""The WebSocket to the backbone: open it, and open it again."""

from __future__ import annotations

from collections import deque
from enum import Enum

from shadowmesh.mesh.backoff import Backoff
from shadowmesh.mesh.outputs import OpenUpdates
from shadowmesh.wire.entropy import Entropy

_REOPEN_DELAYS_S = (1.0, 2.0, 5.0)
MAX_FAILURES = 4  # in a row; then this backbone node counts as lost, and another one is tried
_STEADY_S = 30.0  # a connection that lived shorter was a failure too: a node that accepts and hangs up is no use


class UpdatesState(Enum):
    OFF = "off"  # not logged in
    WAITING = "waiting"
    OPENING = "opening"
    OPEN = "open"


class UpdatesLink:
    """After each call: drain `poll()`, then read `next_timeout()`."""

    def __init__(self, *, entropy: Entropy) -> None:
        self._backoff = Backoff(_REOPEN_DELAYS_S, entropy)
        self.state = UpdatesState.OFF
        self._at = 0.0  # when to open, or when it was opened
        self._failures = 0
        self._out: deque[OpenUpdates] = deque()

    @property
    def exhausted(self) -> bool:
        return self._failures >= MAX_FAILURES

    def start(self, now: float) -> None:
        """Logged in."""
        if self.state is UpdatesState.OFF:
            self._failures = 0
            self._backoff.reset()
            self._open(now)

    def reopen(self, now: float) -> None:
        """The network has changed: the connection that we have leads nowhere any more, and may never say so."""
        if self.state is not UpdatesState.OFF:
            self._failures = 0
            self._backoff.reset()
            self._open(now)

    def stop(self) -> None:
        """The backbone node was left; what is still heard of the connection means nothing."""
        self.state = UpdatesState.OFF

    def opened(self, now: float) -> bool:
        """False when nobody asked for it."""
        if self.state is not UpdatesState.OPENING:
            return False
        self.state = UpdatesState.OPEN
        self._at = now
        return True

    def closed(self, now: float) -> None:
        if self.state not in (UpdatesState.OPENING, UpdatesState.OPEN):
            return
        if self.state is UpdatesState.OPEN and now >= self._at + _STEADY_S:
            self._failures = 0
            self._backoff.reset()
        self._failures += 1
        self.state = UpdatesState.WAITING
        self._at = now + self._backoff.next_delay_s()

    def handle_timeout(self, now: float) -> None:
        if self.state is UpdatesState.WAITING and now >= self._at:
            self._open(now)

    def next_timeout(self) -> float | None:
        return self._at if self.state is UpdatesState.WAITING else None

    def poll(self) -> OpenUpdates | None:
        return self._out.popleft() if self._out else None

    def _open(self, now: float) -> None:
        self.state = UpdatesState.OPENING
        self._at = now
        self._out.append(OpenUpdates())
