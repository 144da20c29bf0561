"""Tells the mesh how much has passed through each tunnel: a session that is used gets fresh keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shadowmesh._engine import Counters
from shadowmesh.mesh.machine import Mesh
from shadowmesh.node.backbone_link import Step

REPORT_INTERVAL_S = 10.0  # a twelfth of the ratchet's interval


async def watch_traffic(counters: Callable[[], Counters], feed: Callable[[Step], None]) -> None:
    """Until it is cancelled."""
    while True:
        await asyncio.sleep(REPORT_INTERVAL_S)
        report_traffic(counters(), feed)


def report_traffic(counters: Counters, feed: Callable[[Step], None]) -> None:
    """One input of the mesh for each peer."""

    def tell(mesh: Mesh, now: float) -> None:
        for peer in counters.peers:
            mesh.traffic(peer.public_key, peer.rx_bytes, peer.tx_bytes, now)

    feed(tell)
