"""Two sides of one path, whose NATs keep a mapping for so long."""

from __future__ import annotations

import pytest
from tests.sim.chance import SeededEntropy

from shadowmesh.paths.keepalive import SILENCES_S, SPREAD_S, Keepalive

HOUR_S = 3600.0


def test_the_first_silence_is_safe_with_nats_that_forget_after_30_seconds() -> None:
    entropy = SeededEntropy(1)
    assert all(24.0 <= Keepalive(0.0).draw(entropy) <= 26.0 for _ in range(100))


def test_a_silence_grows_when_a_probe_that_came_after_it_was_answered() -> None:
    keepalive = Keepalive(0.0)
    keepalive.passed(25.0)
    assert step(keepalive) == 0
    keepalive.asks(50.0)
    keepalive.answered(50.0, 50.04)
    assert step(keepalive) == 1


def test_a_probe_that_follows_other_packets_shows_nothing() -> None:
    keepalive = Keepalive(0.0)
    keepalive.passed(40.0)
    keepalive.asks(50.0)
    keepalive.answered(50.0, 50.04)
    assert step(keepalive) == 0


def test_the_answer_to_a_later_probe_shows_nothing() -> None:
    keepalive = Keepalive(0.0)
    keepalive.asks(50.0)
    keepalive.answered(50.5, 50.54)
    assert step(keepalive) == 0


def test_a_probe_that_is_missed_after_a_long_silence_ends_the_growth_for_good() -> None:
    keepalive = risen(2)
    keepalive.asks(1000.0)
    keepalive.missed()
    assert step(keepalive) == 1
    rise(keepalive, 2000.0)
    assert step(keepalive) == 1


def test_a_probe_that_is_missed_soon_after_other_packets_says_nothing_of_the_nats() -> None:
    keepalive = risen(2)
    keepalive.passed(1000.0)
    keepalive.asks(1001.0)
    keepalive.missed()
    assert step(keepalive) == 2


def test_the_silence_never_grows_beyond_the_last_step() -> None:
    assert step(risen(20)) == len(SILENCES_S) - 1


def test_another_path_begins_anew_but_not_beyond_what_was_missed() -> None:
    keepalive = risen(2)
    keepalive.asks(1000.0)
    keepalive.missed()
    keepalive.moved(2000.0)
    assert step(keepalive) == 0
    rise(keepalive, rise(keepalive, 3000.0))
    assert step(keepalive) == 1


def test_another_network_begins_anew() -> None:
    keepalive = risen(2)
    keepalive.asks(1000.0)
    keepalive.missed()
    keepalive.restart(2000.0)
    rise(keepalive, rise(keepalive, 3000.0))
    assert step(keepalive) == 2


@pytest.mark.parametrize(
    ("forgets_s", "expected"), [(30.0, 25.0), (45.0, 35.0), (60.0, 50.0), (100.0, 75.0), (300.0, 110.0)]
)
def test_two_sides_settle_on_what_the_worse_nat_allows(forgets_s: float, expected: float) -> None:
    """A and B draw in turn; the shorter wait probes. A miss is repaired from the other side, at once."""
    entropy = SeededEntropy("pair", forgets_s)
    a, b = Keepalive(0.0), Keepalive(0.0)
    now, misses = 0.0, 0
    while now < 4 * HOUR_S:
        waits = a.draw(entropy), b.draw(entropy)
        asking, asked = (a, b) if waits[0] <= waits[1] else (b, a)
        now += min(waits)
        asking.asks(now)
        if min(waits) < forgets_s:
            asked.passed(now)
            asking.answered(now, now)
        else:
            misses += 1
            asking.missed()
            asked.passed(now)
            asking.passed(now)
    assert min(SILENCES_S[step(a)], SILENCES_S[step(b)]) == expected
    assert misses <= 2


def risen(steps: int) -> Keepalive:
    keepalive = Keepalive(0.0)
    now = 0.0
    for _ in range(steps):
        now = rise(keepalive, now)
    return keepalive


def rise(keepalive: Keepalive, now: float) -> float:
    keepalive.passed(now)
    keepalive.asks(now + 240)
    keepalive.answered(now + 240, now + 240)
    return now + 240


def step(keepalive: Keepalive) -> int:
    drawn = keepalive.draw(SeededEntropy(1))
    return next(index for index, silence_s in enumerate(SILENCES_S) if abs(drawn - silence_s) <= SPREAD_S)
