"""Chance comes in from outside: `os.urandom` in a node, a seeded stream in tests."""

from collections.abc import Callable

Entropy = Callable[[int], bytes]
"""Gives that many random bytes."""


def jitter(entropy: Entropy, low: float, high: float) -> float:
    """A number between `low` and `high`, evenly spread."""
    return low + (high - low) * int.from_bytes(entropy(4), "big") / 0xFFFFFFFF
