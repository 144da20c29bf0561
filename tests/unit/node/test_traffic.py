from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

import pytest

from shadowmesh._engine import Counters
from shadowmesh.mesh.machine import Mesh
from shadowmesh.node import traffic
from shadowmesh.node.backbone_link import Step
from shadowmesh.node.traffic import report_traffic, watch_traffic


def test_the_counters_of_each_peer_become_one_input_of_the_mesh() -> None:
    told = Told()
    report_traffic(counters(), told.feed)
    assert told.inputs == [(b"a" * 32, 1, 2, 7.0), (b"b" * 32, 3, 4, 7.0)]


async def test_they_are_reported_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "REPORT_INTERVAL_S", 0.0)
    told = Told()
    watching = asyncio.get_running_loop().create_task(watch_traffic(counters, told.feed))
    await asyncio.wait_for(told.three_times.wait(), 10)
    watching.cancel()
    assert told.inputs[:2] == told.inputs[4:6]


@dataclass
class Told:
    inputs: list[tuple[bytes, int, int, float]] = field(default_factory=list)
    three_times: asyncio.Event = field(default_factory=asyncio.Event)

    def feed(self, step: Step) -> None:
        step(cast("Mesh", self), 7.0)

    def traffic(self, wireguard_key: bytes, rx_bytes: int, tx_bytes: int, now: float) -> None:
        self.inputs.append((wireguard_key, rx_bytes, tx_bytes, now))
        if len(self.inputs) == 6:
            self.three_times.set()


@dataclass
class Peer:
    public_key: bytes
    rx_bytes: int
    tx_bytes: int


@dataclass
class Snapshot:
    peers: list[Peer]


def counters() -> Counters:
    return cast("Counters", Snapshot([Peer(b"a" * 32, 1, 2), Peer(b"b" * 32, 3, 4)]))
