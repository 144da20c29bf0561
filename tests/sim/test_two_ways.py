"""Which of several working ways the two sides of a session use, while both compare them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.sim.two_ways import TwoWays

LONGER_THAN_COMPARED_S = 400.0
SENDERS = [(), ("a",), ("b",), ("a", "b")]


@pytest.mark.parametrize("senders", SENDERS, ids=["idle", "a sends", "b sends", "both send"])
@pytest.mark.parametrize("slower_s", [0.021, 0.08, 0.2])
def test_a_slower_way_is_compared_and_not_taken(slower_s: float, senders: Sequence[str]) -> None:
    ways = TwoWays({1: 0.02, 2: slower_s, 3: slower_s + 0.1})
    carry_packets(ways, senders)
    ways.run_for(LONGER_THAN_COMPARED_S)
    assert (ways.a.moves, ways.b.moves) == ([], [])
    assert all(ways.is_measured(side, way) for side in (ways.a, ways.b) for way in (2, 3))


@pytest.mark.parametrize("senders", SENDERS, ids=["idle", "a sends", "b sends", "both send"])
@pytest.mark.parametrize("round_trips_s", [(0.08, 0.02, 0.18), (0.3, 0.02, 0.4), (0.8, 0.02)], ids=str)
def test_a_faster_way_is_taken_by_both_and_kept(round_trips_s: Sequence[float], senders: Sequence[str]) -> None:
    """Packets that left before the peer followed come by the old way for a while."""
    ways = TwoWays(dict(enumerate(round_trips_s, 1)))
    carry_packets(ways, senders)
    ways.run_for(LONGER_THAN_COMPARED_S)
    assert [path for _, path in ways.a.moves] == [ways.b.at(2)]
    assert [path for _, path in ways.b.moves] == [ways.a.at(2)]


def test_the_way_that_was_left_is_compared_on() -> None:
    ways = TwoWays({1: 0.08, 2: 0.02})
    ways.run_for(20.0)
    assert (ways.way_of(ways.a), ways.way_of(ways.b)) == (2, 2)
    ways.round_trips_s[2] = 0.4
    ways.run_for(LONGER_THAN_COMPARED_S)
    assert (ways.way_of(ways.a), ways.way_of(ways.b)) == (1, 1)


def test_a_slower_way_is_taken_when_the_other_one_breaks() -> None:
    ways = TwoWays({1: 0.02, 2: 0.08})
    carry_packets(ways, ["a", "b"])
    ways.run_for(10.0)
    ways.cut(1)
    ways.a.prober.probe(ways.b.name, ways.timeline.now)
    ways.run_for(2.0)
    assert (ways.way_of(ways.a), ways.way_of(ways.b)) == (2, 2)


def carry_packets(ways: TwoWays, senders: Sequence[str]) -> None:
    for name in senders:
        ways.send_packets(ways.a if name == "a" else ways.b)
