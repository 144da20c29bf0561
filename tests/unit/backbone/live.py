"""A real server on loopback, in a thread of this process, with settings that the command line does not have."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

import uvicorn
from tests.unit.backbone.world import UNLIMITED

from shadowmesh.backbone import sockets
from shadowmesh.backbone.config import BackboneConfig
from shadowmesh.backbone.data_folder import DataFolder
from shadowmesh.backbone.limits.rates import Rates
from shadowmesh.backbone.server import RunOptions, uvicorn_config
from shadowmesh.backbone.services import open_services


@dataclass
class LiveServer:
    url: str
    port: int
    _stop: threading.Event = field(default_factory=threading.Event)


@contextmanager
def live_server(folder: Path, *, rates: Rates = UNLIMITED) -> Iterator[LiveServer]:
    listening = sockets.listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    server = LiveServer(f"http://127.0.0.1:{port}", port)
    config = BackboneConfig([server.url], rates=rates, unlimited_from=(ip_network("127.0.0.0/8"),), workers=2)
    started = threading.Event()

    async def serve() -> None:
        data = DataFolder(folder)
        lock = data.open()
        services = await open_services(data, data.load_or_make_identity(os.urandom), config, time.time, os.urandom)
        running = uvicorn.Server(uvicorn_config(RunOptions(folder, "127.0.0.1", port, config), services))
        task = asyncio.create_task(running.serve([listening]))
        started.set()  # the socket listens already: a client that comes too early waits in its backlog
        await asyncio.to_thread(server._stop.wait)
        running.should_exit = True
        await task
        await services.close()
        lock.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield server
    finally:
        server._stop.set()
        thread.join(10)
        listening.close()
