"""Tells the mesh how much has passed through each tunnel: for fresh keys, and to notice a peer that has restarted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shadowmesh._engine import Counters
from shadowmesh.mesh.machine import Mesh
from shadowmesh.node.backbone_link import Step

REPORT_INTERVAL_S = 0.5  # a peer that restarts must be noticed within two seconds


async def watch_traffic(counters: Callable[[], Counters], feed: Callable[[Step], None]) -> None:
    """Until it is cancelled."""
    reports = TrafficReports(feed)
    while True:
        await asyncio.sleep(REPORT_INTERVAL_S)
        reports.report(counters())


class TrafficReports:
    """One input of the mesh for all tunnels whose counters have changed; none while nothing passes."""

    def __init__(self, feed: Callable[[Step], None]) -> None:
        self._feed = feed
        self._told: dict[bytes, tuple[int, int]] = {}

    def report(self, counters: Counters) -> None:
        before, self._told = self._told, {peer.public_key: (peer.rx_bytes, peer.tx_bytes) for peer in counters.peers}
        changed = {key: counted for key, counted in self._told.items() if before.get(key, (0, 0)) != counted}

        def tell(mesh: Mesh, now: float) -> None:
            for key, (rx_bytes, tx_bytes) in changed.items():
                mesh.traffic(key, rx_bytes, tx_bytes, now)

        if changed:
            self._feed(tell)
