"""A real backbone on a loopback port, in the event loop of the test, with a clock that the test sets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

import uvicorn

from shadowmesh.backbone import sockets
from shadowmesh.backbone.config import BackboneConfig
from shadowmesh.backbone.data_folder import DataFolder
from shadowmesh.backbone.limits.rates import Rate, Rates
from shadowmesh.backbone.server import RunOptions, uvicorn_config
from shadowmesh.backbone.services import open_services
from shadowmesh.identity.names import Fingerprint

UNLIMITED = Rates(**dict.fromkeys(Rates.__dataclass_fields__, Rate(1e6, 1_000_000)))


@dataclass
class RunningBackbone:
    url: str
    fingerprint: Fingerprint
    _server: uvicorn.Server
    _serving: asyncio.Task[None]
    clock_offset_s: list[float] = field(default_factory=lambda: [0.0])

    @property
    def pin(self) -> str:
        return f"{self.url}#{self.fingerprint}"

    async def stop(self) -> None:
        """Closes all connections, and takes no new ones."""
        self._server.should_exit = True
        await self._serving

    def pass_time(self, seconds: float) -> None:
        self.clock_offset_s[0] += seconds


@asynccontextmanager
async def running_backbone(folder: Path) -> AsyncIterator[RunningBackbone]:
    listening = sockets.listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    config = BackboneConfig([url], rates=UNLIMITED, unlimited_from=(ip_network("127.0.0.0/8"),), workers=1)
    data, offset = DataFolder(folder), [0.0]
    lock = data.open()
    identity = data.load_or_make_identity(os.urandom)
    services = await open_services(data, identity, config, lambda: time.time() + offset[0], os.urandom)
    server = _Server(uvicorn_config(RunOptions(folder, "127.0.0.1", 0, config), services))
    serving = asyncio.create_task(server.serve([listening]))
    running = RunningBackbone(url, identity.fingerprint, server, serving, offset)
    try:
        yield running
    finally:
        await running.stop()
        await services.close()
        lock.close()
        listening.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
