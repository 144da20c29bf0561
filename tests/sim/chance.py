"""Seeded chance: a stream of SHA-256 blocks, the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
_BLOCK_BYTES = 32


class SeededEntropy:
    """An `Entropy` that a seed determines."""

    def __init__(self, *seed: object) -> None:
        self._key = hashlib.sha256(repr(seed).encode()).digest()
        self._counter = -1  # of the last block

    def __call__(self, count: int) -> bytes:
        if 0 < count <= _BLOCK_BYTES:  # as for each packet of a simulation
            return self._block()[:count]
        return b"".join(self._block() for _ in range(-(-count // _BLOCK_BYTES)))[:count]

    def _block(self) -> bytes:
        self._counter += 1
        return hashlib.sha256(self._key + self._counter.to_bytes(8, "big")).digest()

    def fraction(self) -> float:
        return int.from_bytes(self(4), "big") / 2**32

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.fraction()

    def below(self, bound: int) -> int:
        """An integer from 0 to `bound` - 1; its bias is below `bound` / 2^32."""
        return int.from_bytes(self(4), "big") % bound

    def choice(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]
