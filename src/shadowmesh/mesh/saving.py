"""When the state is to be written."""

from __future__ import annotations

MIN_CACHE_INTERVAL_S = 5.0  # a flash card wears out; a lost cache line costs one look-up


class SaveSchedule:
    """What must not be lost is saved at once, what only saves time is saved now and then."""

    def __init__(self) -> None:
        self._saved_at = float("-inf")
        self._due_at: float | None = None

    def cache_changed(self) -> None:
        if self._due_at is None:
            self._due_at = self._saved_at + MIN_CACHE_INTERVAL_S

    def saved(self, now: float) -> None:
        self._saved_at = now
        self._due_at = None

    def is_due(self, now: float) -> bool:
        return self._due_at is not None and now >= self._due_at

    def next_timeout(self) -> float | None:
        return self._due_at
