"""Figures beside what they are compared with, as a table or for a program to read."""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Figure:
    """What each repetition measured, ours and theirs in the same unit."""

    what: str
    unit: str
    compared_with: str
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)

    def add(self, ours: float, theirs: float) -> None:
        self.ours.append(ours)
        self.theirs.append(theirs)


@dataclass(frozen=True, slots=True)
class Layout:
    """Widths of the columns, and digits after the point."""

    what: int
    ours: int
    unit: int
    spread: int
    digits: int

    def line(self, figure: Figure) -> str:
        """Medians, the smallest and the largest of ours, and the ratio."""
        ours, theirs = statistics.median(figure.ours), statistics.median(figure.theirs)
        least, most, compared = (f"{value:.{self.digits}f}" for value in (min(figure.ours), max(figure.ours), theirs))
        return (
            f"{figure.what:{self.what}}{ours:{self.ours}.{self.digits}f} {figure.unit:{self.unit}}"
            f"{f'({least}-{most})':>{self.spread}}   {figure.compared_with} {compared}: {ours / theirs:.2f}x"
        )


def run(description: str, measure: Callable[[int], Sequence[Figure]], layout: Layout) -> None:
    """The benchmark as a command; `measure` gets the number of repetitions."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="all figures, for a program to read")
    arguments = parser.parse_args()
    figures = measure(arguments.repeat)
    if arguments.json:
        json.dump({figure.what: [figure.ours, figure.theirs] for figure in figures}, sys.stdout, indent=2)
        return
    for figure in figures:
        print(layout.line(figure))
