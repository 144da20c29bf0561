"""Time comes in from outside.

Machines take `now`, monotonic seconds, as an argument of every call. What stands in records (issued, expires)
is seconds since 1970, which only a wall clock tells, and a wall clock may jump by years: it decides whether a record
is fresh, and nothing else.
"""

from collections.abc import Callable

WallClock = Callable[[], float]
"""Gives seconds since 1970."""
