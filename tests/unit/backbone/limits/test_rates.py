"""Token buckets."""

import pytest
from tests.unit.backbone.world import SettableClock

from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.limits.rates import Rate, RateLimiter


def test_a_burst_passes_and_then_the_rate() -> None:
    clock = SettableClock()
    limiter = RateLimiter(Rate(2, 3), clock)
    assert [limiter.allows("a") for _ in range(4)] == [True, True, True, False]
    clock.advance(0.5)
    assert [limiter.allows("a") for _ in range(2)] == [True, False]
    clock.advance(1000)
    assert [limiter.allows("a") for _ in range(4)] == [True, True, True, False]


def test_keys_do_not_share_a_bucket() -> None:
    limiter = RateLimiter(Rate(1, 1), SettableClock())
    assert limiter.allows("a")
    assert limiter.allows("b")


def test_a_refusal_says_how_long_to_wait() -> None:
    limiter = RateLimiter(Rate(1 / 60, 1), SettableClock())
    limiter.take("a")
    with pytest.raises(Refused) as refused:
        limiter.take("a")
    assert refused.value.retry_after_s == 60


def test_a_clock_set_back_neither_fills_nor_empties() -> None:
    clock = SettableClock()
    limiter = RateLimiter(Rate(1, 2), clock)
    assert limiter.allows("a")
    clock.advance(-1000)
    assert [limiter.allows("a") for _ in range(2)] == [True, False]


def test_the_table_is_bounded() -> None:
    limiter = RateLimiter(Rate(0.001, 1), SettableClock(), most=2)
    assert [limiter.allows(key) for key in "abca"] == [True] * 4
    assert not limiter.allows("c")
