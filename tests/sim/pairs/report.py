"""Tables of what pairs did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt

from tests.sim.pairs.faults import Recovery
from tests.sim.pairs.trial import Outcome

from shadowmesh.lab.nat.theory import Method


def by_method(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield f"{'method':<17}{'pairs':>7}{'direct':>8}{'at once':>9}{'median':>9}{'95 %':>9}{'worst':>9}"
    for method in Method:
        sure = [each for each in outcomes if each.expectation.method is method and not each.expectation.doubt]
        yield _row(method.name.lower().replace("_", " "), sure)
    for doubt in dict.fromkeys(each.expectation.doubt for each in outcomes if each.expectation.doubt):
        yield _row("by luck", [each for each in outcomes if each.expectation.doubt == doubt]) + f"   {doubt}"


def _row(name: str, outcomes: Sequence[Outcome]) -> str:
    direct = [each for each in outcomes if each.direct]
    at_once = sum(not each.first_failure for each in direct)
    return f"{name:<17}{len(outcomes):>7}{len(direct):>8}{at_once:>9}{times([each.took_s for each in direct])}"


def times(values: Sequence[float]) -> str:
    """Median, 95th percentile and worst, in seconds."""
    if not values:
        return f"{'-':>9}" * 3
    ordered = sorted(values)
    return "".join(f"{ordered[int(share * (len(ordered) - 1))]:>7.2f} s" for share in (0.5, 0.95, 1.0))


def rate(outcomes: Sequence[Outcome]) -> str:
    direct = sum(each.direct for each in outcomes)
    low, high = interval(direct, len(outcomes))
    return f"{direct / len(outcomes):.2%} direct (95 % confidence: {low:.2%} to {high:.2%}), of {len(outcomes)} pairs"


def interval(successes: int, count: int) -> tuple[float, float]:
    """Wilson's, for 95 %: Brown, Cai and DasGupta, 2001."""
    z = 1.959964
    share = successes / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    spread = z / (1 + z * z / count) * sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return centre - spread, centre + spread


def by_trouble(recoveries: Sequence[Recovery]) -> Iterator[str]:
    yield f"{'trouble':<38}{'pairs':>7}{'median':>9}{'95 %':>9}{'worst':>9}"
    found = [each.direct_after_s for each in recoveries if each.direct_after_s is not None]
    yield f"{'found in bad weather':<38}{len(found):>7}{times(found)}"
    for trouble in sorted({each.trouble for each in recoveries}):
        again = [each.recovered_after_s for each in recoveries if each.trouble == trouble]
        seconds = [value for value in again if value is not None]
        yield f"{trouble:<38}{len(seconds):>7}{times(seconds)}"
