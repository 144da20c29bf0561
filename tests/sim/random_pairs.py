"""Thousands of pairs of the real mesh logic behind random NATs, compared with what the theory says of each.

`python -m tests.sim.random_pairs --pairs 10000 --seed 1`; one pair alone: `--mix uniform --only SEED`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import Pool
from typing import TypeVar

from tests.sim.pairs import faults, report
from tests.sim.pairs.mix import PLACES, SHARES, Mix
from tests.sim.pairs.oracle import expected
from tests.sim.pairs.scenario import Scenario, uniform
from tests.sim.pairs.trial import Outcome, run

T = TypeVar("T")
_PROCESSES = 2
_CHUNK = 20
_ORACLE_PAIRS = 1000  # for what each share is worth, where the theory alone is asked, always of the same seeds


def draw(mix: str, seed: int) -> Scenario:
    return uniform(seed) if mix == "uniform" else Mix.stated().draw(seed)


def trial(mix: str, seed: int) -> Outcome:
    return run(draw(mix, seed))


def faulty_trial(mix: str, seed: int) -> faults.Recovery | None:
    return faults.run(draw(mix, seed))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10_000, help="half of the uniform mix, half of the stated one")
    parser.add_argument("--faulty", type=int, default=500, help="further pairs of the stated mix in bad weather")
    parser.add_argument("--seed", type=int, default=1, help="of the first pair; the others count on")
    parser.add_argument("--mix", choices=("uniform", "stated"), help="this one alone")
    parser.add_argument("--only", type=int, help="the pair of this seed")
    arguments = parser.parse_args()
    if arguments.only is not None:
        print(trial(arguments.mix or "uniform", arguments.only))
        return 0
    mixes = (arguments.mix,) if arguments.mix else ("uniform", "stated")
    each = arguments.pairs // len(mixes)
    problems = [problem for mix in mixes for problem in _compare(mix, arguments.seed, each)]
    problems += _disturb(arguments.seed, arguments.faulty)
    if "stated" in mixes:
        _print_sensitivity(arguments.seed)
    print(f"\n{len(problems)} pairs are not as they must be", *problems, sep="\n  ")
    return 1 if problems else 0


def _compare(mix: str, seed: int, count: int) -> list[str]:
    outcomes = list(_in_parallel(partial(trial, mix), range(seed, seed + count), f"{mix} mix"))
    print(f"\n{mix} mix, seeds {seed} to {seed + count - 1}", *report.by_method(outcomes), sep="\n")
    print(report.rate(outcomes))
    return [f"--mix {mix} --only {each.scenario.seed}: {each.problem}" for each in outcomes if each.problem]


def _disturb(seed: int, count: int) -> list[str]:
    tried = _in_parallel(partial(faulty_trial, "stated"), range(seed, seed + count), "bad weather")
    recoveries = [each for each in tried if each is not None]
    if recoveries:
        print("\nloss 1-5 %, reordering to 10 %, duplication to 5 %, signalling loss 1-10 %; then one trouble")
        print(*report.by_trouble(recoveries), sep="\n")
    return [f"faults, seed {each.scenario.seed}: {each.problem}" for each in recoveries if each.problem]


def _print_sensitivity(seed: int) -> None:
    """By the oracle alone: the comparison above shows that it is right."""
    seeds = range(seed, seed + _ORACLE_PAIRS)
    shares = {**PLACES, **SHARES}
    with Pool(_PROCESSES) as pool:
        base, *changed = pool.map(partial(_expected_rate, seeds), ["", *shares])
    print(f"\nby the theory {base:.1%} of {len(seeds)} such pairs; with one share doubled:")
    for (name, share), value in zip(shares.items(), changed, strict=True):
        print(f"  {value:6.1%}  {name}, {share.value:.0%}: {share.source}")


def _expected_rate(seeds: range, doubled: str) -> float:
    mix = Mix.stated().with_doubled(doubled) if doubled else Mix.stated()
    return sum(expected(*mix.draw(seed).build()[1:]).is_direct for seed in seeds) / len(seeds)


def _in_parallel(function: Callable[[int], T], seeds: range, what: str) -> Iterator[T]:
    with Pool(_PROCESSES) as pool:
        for number, result in enumerate(pool.imap(function, seeds, _CHUNK), start=1):
            if number % 100 == 0 or number == len(seeds):
                print(f"\r{what}: {number} of {len(seeds)}", end="", file=sys.stderr, flush=True)
            yield result
    print(file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
