"""A rate limit."""

from __future__ import annotations


class PerSecond:
    """At most `limit` in each second."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit
        self._until = float("-inf")

    def take(self, now: float) -> bool:
        if now >= self._until:
            self._until, self._left = now + 1.0, self._limit
        self._left -= 1
        return self._left >= 0
