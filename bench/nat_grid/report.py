"""The grid as text and as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench.nat_grid.meeting import Meeting, Outcome

from shadowmesh.lab.nat.theory import Method

_LETTERS = {
    Method.PLAIN: "+",
    Method.SOURCE_LEARNING: "s",
    Method.PREDICTION: "p",
    Method.BIRTHDAY: "b",
    Method.NEVER: ".",
}


@dataclass(frozen=True, slots=True)
class Result:
    meeting: Meeting
    outcome: Outcome

    @property
    def as_expected(self) -> bool:
        return self.outcome.is_direct is (self.meeting.expected is not Method.NEVER)

    @property
    def letter(self) -> str:
        """The method that was needed; in capitals, or `!`, where it came out otherwise."""
        letter = _LETTERS[self.meeting.expected]
        return letter if self.as_expected else f"!{letter}"

    def line(self) -> str:
        outcome = self.outcome
        wanted = "relay needed" if self.meeting.expected is Method.NEVER else self.meeting.expected.name.lower()
        wanted = wanted.replace("_", " ")
        costs = f"{_pair(outcome.probes)} {_pair(outcome.flows)}"
        times = f"{_seconds(outcome.direct_s)} {_seconds(outcome.first_byte_s)}"
        mark = " " if self.as_expected else "!"
        found = outcome.path if outcome.is_direct else outcome.reason or "no data passes"
        return f"{mark} {self.meeting.name:27} {wanted:16} {times} {costs}  {found}"


HEAD = f"  {'pair':27} {'expected':16} {'direct s':>8} {'byte s':>8} {'probes':>11} {'NAT entries':>11}  found"


def grid(names: Sequence[str], results: Sequence[Result]) -> str:
    """A letter a pair."""
    cells = {frozenset((each.meeting.near.name, each.meeting.far.name)): each for each in results}
    lines = [" " * 13 + "".join(f"{name[:5]:>6}" for name in names)]
    for row in names:
        letters = [cells.get(frozenset((row, column))) for column in names]
        lines.append(f"{row:13}" + "".join(f"{each.letter if each else '':>6}" for each in letters))
    legend = "+ plain   s source learning   p prediction   b birthday   . relay needed   ! came out otherwise"
    return "\n".join([*lines, legend])


def to_json(results: Sequence[Result]) -> str:
    return json.dumps(
        [
            {"pair": each.meeting.name, "expected": each.meeting.expected.name, "as_expected": each.as_expected}
            | asdict(each.outcome)
            for each in results
        ],
        indent=2,
    )


def _pair(figures: tuple[int, int]) -> str:
    return f"{f'{figures[0]}/{figures[1]}':>11}"


def _seconds(value: float | None) -> str:
    return f"{'-' if value is None else f'{value:.2f}':>8}"
