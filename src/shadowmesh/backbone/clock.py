"""The clock comes in from outside: `time.time` in a server, a settable one in tests."""

from collections.abc import Callable

Clock = Callable[[], float]
"""Gives seconds since 1970."""
