"""Real nodes whose networks change: an open TCP connection goes on, with every byte in its order.

How long it stands still is measured by `python -m bench.roaming`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from shadowmesh.demo.actors import start_pair
from shadowmesh.lab.nat.roaming import CHANGES, Change, couple
from shadowmesh.lab.numbered_data import wait_recovered

pytestmark = pytest.mark.privileged

GENEROUS_S = 40.0
BACKED_OFF_S = 100.0  # the kernel of a stopped process goes on doubling TCP's timer, to the next one after 102 s
SHORT = [change for change in CHANGES if "65" not in change.name]
LONG = [change for change in CHANGES if "65" in change.name]


@pytest.mark.parametrize("change", SHORT, ids=lambda change: change.name)
def test_a_tcp_connection_survives_a_change_of_the_network(change: Change, tmp_path: Path) -> None:
    survives(change, tmp_path, GENEROUS_S)


@pytest.mark.slow(reason="the node is stopped for a minute, longer than its peer waits for it")
@pytest.mark.parametrize("change", LONG, ids=lambda change: change.name)
def test_a_tcp_connection_survives_a_sleep_that_ends_the_session(change: Change, tmp_path: Path) -> None:
    survives(change, tmp_path, BACKED_OFF_S)


def survives(change: Change, folder: Path, limit_s: float) -> None:
    nodes = partial(start_pair, folder=folder, options=("--unlimited-from", "0.0.0.0/0"), within_s=30)
    with couple(folder / "logs", nodes) as pair:
        wait_recovered(pair.stream, 0.0, GENEROUS_S)
        began = change.act(pair)
        for flow in (pair.packets, pair.stream):
            wait_recovered(flow, began, limit_s)
        assert not pair.stream.broken
        assert pair.stream.count > 0
