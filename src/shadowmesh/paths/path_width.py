"""Whether full packets pass a path of IPv6. Spec: docs/spec/paths.md, section 5.6.

IPv6 routers fragment nothing: they tell the sender that a packet is too big, and where that message is filtered the
packet is gone. Only a probe as long as a full packet shows it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

from shadowmesh.wire.endpoint import Endpoint

LOOK_S = 0.6  # between full-size probes: longer than most round trips
# In a row, each beside a small one that was answered: at 20 % loss each way a wide path is taken for a narrow one in
# 1,500 cases, and then carries its full packets in two fragments each.
MISSES = 5
REMIND_S = 300.0  # half of the ten minutes for which the kernel remembers what it is told
FIRST_RELOOK_S = 60.0  # at a path that answers nothing; doubled
RELOOK_S = 3600.0  # 1,360 bytes an hour: 3 bit/s
MAX_NARROW = 8  # paths of one peer, as many as a call brings


class Look(Enum):
    PROBE = "send a full-size and a small probe"
    REMIND = "the path is narrow: have the kernel send fragments"
    REST = "nothing"


@dataclass(slots=True)
class PathWidth:
    """Of one peer's path, in our sending direction. What was narrow once stays so: fragments would pass as a probe."""

    due_at: float = math.inf
    _path: Endpoint | None = None
    _narrow: set[Endpoint] = field(default_factory=set)
    _asked_at: float = math.inf
    _small_one_answered: bool = False
    _misses: int = 0
    _relook_s: float = FIRST_RELOOK_S

    @property
    def is_narrow(self) -> bool:
        return self._path in self._narrow

    def restart(self, path: Endpoint, now: float) -> None:
        """It is another path, or the network has changed under it."""
        self._path = path
        self.due_at = now if path.address.version == 6 else math.inf
        self._relook_s = FIRST_RELOOK_S
        self._forget_misses()

    def look(self, now: float) -> Look:
        """At `due_at`."""
        if self._asked_at < math.inf:
            if not self._small_one_answered:
                self._rest(now)
                return Look.REST
            self._misses += 1
            if self._misses == MISSES and self._path is not None:
                if len(self._narrow) == MAX_NARROW:
                    self._narrow.clear()
                self._narrow.add(self._path)
        if self.is_narrow:
            self.due_at = now + REMIND_S
            self._forget_misses()
            return Look.REMIND
        self._asked_at, self._small_one_answered = now, False
        self.due_at = now + LOOK_S
        return Look.PROBE

    def small_one_answered(self, sent_at: float) -> None:
        if sent_at >= self._asked_at:
            self._small_one_answered = True

    def full_size_answered(self, now: float) -> None:
        if not self.is_narrow:
            self._relook_s = RELOOK_S
            self._rest(now)

    def _rest(self, now: float) -> None:
        self.due_at = now + self._relook_s
        self._relook_s = min(2 * self._relook_s, RELOOK_S)
        self._forget_misses()

    def _forget_misses(self) -> None:
        self._asked_at = math.inf
        self._misses = 0
