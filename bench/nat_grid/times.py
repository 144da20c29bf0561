"""How long two real nodes take to a direct path over links of several lengths, and what it costs, by method (root).

python -m bench.nat_grid.times --rtt-ms 0 40 150
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence

from bench.nat_grid.city import City, all_meet, city
from bench.nat_grid.meeting import Meeting, Outcome, Party
from bench.nat_grid.places import BY_NAME, expected

PAIRS = {"plain": ("port", "port strict"), "prediction": ("sequential", "port"), "birthday": ("symmetric", "port")}
NODES = 5  # on each side for each method: as many rounds, so that no two nodes have met before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rtt-ms", nargs="+", type=float, default=[0, 40, 150], help="between two nodes")
    parser.add_argument("--json", action="store_true", help="all figures, for a program to read")
    arguments = parser.parse_args()
    outcomes = {rtt_ms: measure(rtt_ms) for rtt_ms in arguments.rtt_ms}
    print(json.dumps(_figures(outcomes), indent=2) if arguments.json else _table(outcomes))


def measure(rtt_ms: float) -> dict[str, list[Outcome]]:
    """Of all meetings, by method. What each site sends is late by half the round trip."""
    with city() as town:
        sides = {method: _settle(town, method) for method in PAIRS}
        town.wake()
        if rtt_ms:
            town.delay(rtt_ms / 2)
        outcomes: dict[str, list[Outcome]] = {method: [] for method in PAIRS}
        for shift in range(NODES):
            methods = [method for method in PAIRS for _ in range(NODES)]
            meetings = [meeting for near, far in sides.values() for meeting in _shifted(near, far, shift)]
            for method, result in zip(methods, all_meet(meetings), strict=True):
                outcomes[method].append(result.outcome)
            print(f"{rtt_ms:g} ms: round {shift + 1} of {NODES}", file=sys.stderr, flush=True)
    return outcomes


def _settle(town: City, method: str) -> tuple[list[Party], list[Party]]:
    near, far = (
        [town.settle(BY_NAME[kind], f"{method[:2]}{side}{number}") for number in range(NODES)]
        for side, kind in zip("ab", PAIRS[method], strict=True)
    )
    return near, far


def _shifted(near: Sequence[Party], far: Sequence[Party], shift: int) -> list[Meeting]:
    pairs = zip(near, [*far[shift:], *far[:shift]], strict=True)
    return [Meeting(one, other, expected(BY_NAME[one.name], BY_NAME[other.name])) for one, other in pairs]


def _table(outcomes: dict[float, dict[str, list[Outcome]]]) -> str:
    head = f"{'to direct s':>16}{'to first byte s':>17}{'probes':>14}{'NAT entries':>14}"
    lines = [f"{'rtt':>6}  {'method':12}{'direct':>8}{head}"]
    for rtt_ms, by_method in outcomes.items():
        lines += [f"{rtt_ms:6g}  {method:12}{_row(met)}" for method, met in by_method.items()]
    return "\n".join([*lines, "times: median, 95th percentile; probes and entries: median of near/far"])


def _row(met: Sequence[Outcome]) -> str:
    direct = [each for each in met if each.is_direct]
    connected = _spread([each.direct_s for each in direct if each.direct_s is not None])
    first_byte = _spread([each.first_byte_s for each in direct if each.first_byte_s is not None])
    costs = f"{_middle([each.probes for each in met])}{_middle([each.flows for each in met])}"
    return f"{f'{len(direct)}/{len(met)}':>8}{connected:>16}{first_byte:>17}{costs}"


def _spread(values: Sequence[float]) -> str:
    if len(values) < 2:
        return "-"
    return f"{statistics.median(values):.2f}, {statistics.quantiles(values, n=20)[-1]:.2f}"


def _middle(pairs: Sequence[tuple[int, int]]) -> str:
    near, far = (statistics.median(side) for side in zip(*pairs, strict=True))
    return f"{f'{near:.0f}/{far:.0f}':>14}"


def _figures(outcomes: dict[float, dict[str, list[Outcome]]]) -> list[dict[str, object]]:
    return [
        {"rtt_ms": rtt_ms, "method": method, "direct_s": each.direct_s, "first_byte_s": each.first_byte_s}
        | {"probes": each.probes, "flows": each.flows, "reason": each.reason}
        for rtt_ms, by_method in outcomes.items()
        for method, met in by_method.items()
        for each in met
    ]


if __name__ == "__main__":
    main()
