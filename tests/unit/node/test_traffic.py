from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import cast

import pytest

from shadowmesh._engine import Counters
from shadowmesh.mesh.machine import Mesh
from shadowmesh.node import traffic
from shadowmesh.node.backbone_link import Step
from shadowmesh.node.traffic import TrafficReports, watch_traffic


def test_the_counters_of_each_peer_are_told_together_when_they_have_changed() -> None:
    told = Told()
    reports = TrafficReports(told.feed)
    reports.report(counters())
    assert told.inputs == [(b"a" * 32, 1, 2, 7.0), (b"b" * 32, 3, 4, 7.0)]
    reports.report(counters())
    reports.report(counters(tx_bytes=5))
    assert told.inputs[2:] == [(b"b" * 32, 3, 5, 7.0)]
    assert told.feeds == 2


async def test_they_are_reported_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "REPORT_INTERVAL_S", 0.0)
    told = Told()
    numbers = itertools.count(10)
    watching = asyncio.get_running_loop().create_task(watch_traffic(lambda: counters(next(numbers)), told.feed))
    await asyncio.wait_for(told.three_times.wait(), 10)
    watching.cancel()
    assert [tx_bytes for key, _, tx_bytes, _ in told.inputs if key == b"b" * 32][:3] == [10, 11, 12]


@dataclass
class Told:
    inputs: list[tuple[bytes, int, int, float]] = field(default_factory=list)
    feeds: int = 0
    three_times: asyncio.Event = field(default_factory=asyncio.Event)

    def feed(self, step: Step) -> None:
        self.feeds += 1
        step(cast("Mesh", self), 7.0)

    def traffic(self, wireguard_key: bytes, rx_bytes: int, tx_bytes: int, now: float) -> None:
        self.inputs.append((wireguard_key, rx_bytes, tx_bytes, now))
        if self.feeds == 3:
            self.three_times.set()


@dataclass
class Peer:
    public_key: bytes
    rx_bytes: int
    tx_bytes: int


@dataclass
class Snapshot:
    peers: list[Peer]


def counters(tx_bytes: int = 4) -> Counters:
    return cast("Counters", Snapshot([Peer(b"a" * 32, 1, 2), Peer(b"b" * 32, 3, tx_bytes)]))
