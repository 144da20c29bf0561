"""When requests go out: repeated while a router is silent, and again in good time before a mapping ends."""

from __future__ import annotations

from dataclasses import dataclass

from shadowmesh.wire.entropy import Entropy, jitter

MIN_INTERVAL_S = 4.0  # between renewals, RFC 6887 §11.2.1
_SPREAD = 4  # a renewal is drawn from the first quarter of what is left: from 1/2 to 5/8, from 3/4 to 13/16, ...


@dataclass(slots=True)
class Tries:
    """Of one request: `at_s` are the times after the first at which it is sent; then `give_up_after_s`."""

    at_s: tuple[float, ...]
    give_up_after_s: float
    started_at: float
    sent: int = 0

    @property
    def due_at(self) -> float:
        return self.started_at + (self.give_up_after_s if self.is_used_up else self.at_s[self.sent])

    @property
    def is_used_up(self) -> bool:
        return self.sent == len(self.at_s)

    def count(self, now: float) -> None:
        """One is sent. When it is late, the rest comes later too."""
        self.started_at = now - self.at_s[self.sent]
        self.sent += 1


def renewal_at(granted_at: float, lifetime_s: float, unanswered: int, entropy: Entropy) -> float | None:
    """RFC 6887 §11.2.1: after half of the lifetime, then of each rest; `unanswered` came before. None: no more."""
    left_s = lifetime_s / 2.0 ** (unanswered + 1)
    if left_s < MIN_INTERVAL_S:
        return None
    return granted_at + lifetime_s - left_s + jitter(entropy, 0.0, left_s / _SPREAD)
