"""How long data stands still when the network changes under a tunnel (root): `python -m bench.roaming`.

Two real nodes behind port-restricted NATs, one TCP connection of numbered data, numbered datagrams the other way.
Goals: 3 s, and 1 s where the node's own host notices.
"""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from shadowmesh.demo.actors import start_pair
from shadowmesh.lab.errors import LabError
from shadowmesh.lab.nat.roaming import CHANGES, Change, couple
from shadowmesh.lab.numbered_data import wait_recovered

LIMIT_S = 60.0
SETTLED_S = 5.0


def measure(change: Change) -> tuple[float | None, float | None]:
    """For the datagrams, and for TCP, whose own timer doubles while nothing passes. None: not within a minute."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="roam-", dir="/tmp")))
        nodes = partial(start_pair, folder=folder, options=("--unlimited-from", "0.0.0.0/0"), within_s=30)
        pair = stack.enter_context(couple(folder / "logs", nodes))
        wait_recovered(pair.stream, pair.stream.times[0] if pair.stream.times else 0.0, LIMIT_S)
        began = change.act(pair)
        results: list[float | None] = []
        for flow in (pair.packets, pair.stream):
            try:
                results.append(wait_recovered(flow, began, LIMIT_S))
            except LabError:
                results.append(None)
        return results[0], results[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", default="", help="changes whose name contains this")
    options = parser.parse_args()
    rows = []
    if not options.json:
        print(f"{'change':<42} {'goal':>6} {'packets':>8} {'TCP':>8}")
    for change in CHANGES:
        if options.only not in change.name:
            continue
        packets_s, stream_s = measure(change)
        goal_s = 1.0 if change.noticed else 3.0
        rows.append({"change": change.name, "goal_s": goal_s, "packets_s": packets_s, "tcp_s": stream_s})
        if not options.json:
            print(f"{change.name:<42} {goal_s:>4.0f} s {seconds(packets_s):>8} {seconds(stream_s):>8}", flush=True)
    if options.json:
        print(json.dumps({"roaming": rows}))


def seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"


if __name__ == "__main__":
    main()
