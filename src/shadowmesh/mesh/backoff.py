"""Waiting longer after each failure."""

from __future__ import annotations

from shadowmesh.wire.entropy import Entropy, jitter


class Backoff:
    """Gives the next delay of a series; the last one is repeated. Up to a quarter more, so that a crowd spreads."""

    def __init__(self, delays_s: tuple[float, ...], entropy: Entropy) -> None:
        self._delays_s = delays_s
        self._entropy = entropy
        self._failures = 0

    def next_delay_s(self) -> float:
        delay_s = self._delays_s[min(self._failures, len(self._delays_s) - 1)]
        self._failures += 1
        return jitter(self._entropy, delay_s, delay_s * 1.25)

    def reset(self) -> None:
        self._failures = 0
