"""Real nodes behind every pair of NAT kinds, beside what theory says of the pair: `python -m bench.nat_grid` (root).

Exit status 1 when a pair comes out otherwise than theory says.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from bench.nat_grid.city import City, all_meet, city, rounds
from bench.nat_grid.places import KINDS, PlaceKind
from bench.nat_grid.report import HEAD, Result, grid, to_json


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="*", metavar="KIND", help=f"of {', '.join(kind.name for kind in KINDS)}")
    parser.add_argument("--json", action="store_true", help="all figures, for a program to read")
    arguments = parser.parse_args()
    kinds = [kind for kind in KINDS if not arguments.kinds or kind.name in arguments.kinds]
    began = time.monotonic()
    with city() as town:
        results = run(town, kinds)
    if arguments.json:
        print(to_json(results))
    else:
        print(
            "\n".join(["", grid([kind.name for kind in kinds], results), "", HEAD, *(each.line() for each in results)])
        )
    wrong = sum(not each.as_expected for each in results)
    print(f"{len(results)} pairs, {wrong} otherwise, {time.monotonic() - began:.0f} s", file=sys.stderr)
    return 1 if wrong else 0


def run(town: City, kinds: Sequence[PlaceKind]) -> list[Result]:
    near, far = ([town.settle(kind, f"{side}{number}") for number, kind in enumerate(kinds)] for side in "ab")
    special = [town.neighbours(), town.subscribers(hairpin=True), town.subscribers(hairpin=False)]
    town.wake()
    first, *others = rounds(kinds, near, far)
    results = []
    for number, meetings in enumerate([first + special, *others], 1):
        met = all_meet(meetings)
        results += met
        expected = sum(each.as_expected for each in met)
        progress = f"round {number} of {len(others) + 1}: {expected} of {len(met)} pairs as expected"
        print(progress, file=sys.stderr, flush=True)
    return results


if __name__ == "__main__":
    sys.exit(main())
