"""Whether a router still has its mappings: RFC 6887 §8.5, which covers RFC 6886 §3.6."""

from __future__ import annotations

_REORDERED_S = 1  # an answer may overtake the one before
_LATENCY_S = 2  # both clocks count whole seconds, and an answer takes time
_DRIFT = 16  # clocks may run apart by one part in so many


class EpochClock:
    """Compares the router's seconds since its mappings began with ours."""

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None

    def observe(self, epoch_s: int, now: float) -> bool:
        """Whether the router has kept its mappings since the last answer."""
        last, self._last = self._last, (epoch_s, now)
        if last is None:
            return True
        server_s, client_s = epoch_s - last[0], now - last[1]
        if server_s < -_REORDERED_S:
            return False
        return not (_is_behind(client_s, server_s) or _is_behind(server_s, client_s))


def _is_behind(one_s: float, other_s: float) -> bool:
    return one_s + _LATENCY_S < other_s - other_s / _DRIFT
