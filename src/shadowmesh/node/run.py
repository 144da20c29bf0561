"""One node from start to stop, in the foreground."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from shadowmesh._engine import Engine
from shadowmesh.control import schema
from shadowmesh.control.home import Home
from shadowmesh.identity.keys import Identity
from shadowmesh.identity.names import OVERLAY_NETWORK, Fingerprint
from shadowmesh.mesh.machine import Mesh
from shadowmesh.mesh.state import MeshConfig
from shadowmesh.node import control_server, reports
from shadowmesh.node.backbone_client import BackboneClient
from shadowmesh.node.backbone_http import BackboneHttp
from shadowmesh.node.commands import Commands
from shadowmesh.node.control_server import ControlServer
from shadowmesh.node.daemon import Daemon
from shadowmesh.node.engine_shell import engine_capabilities, open_engine
from shadowmesh.node.errors import NodeFailed
from shadowmesh.node.lan_sockets import LanSockets
from shadowmesh.node.reachability import Reachability
from shadowmesh.node.settings import Settings
from shadowmesh.node.storage import Storage
from shadowmesh.node.traffic import watch_traffic
from shadowmesh.session.macs import GateKeys

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_log = logging.getLogger(__name__)


async def run(home: Home, settings: Settings, identity: Identity, ready: Callable[[schema.UpDocument], None]) -> None:
    """Until a signal or `shadowmesh down` stops it. The caller holds the home's lock. Raises ShadowMeshError.

    `ready` is called when the engine runs and the control socket is open; the backbone may be out of reach still.
    """
    storage = Storage(home, _log.error)
    config = replace(settings.mesh_config(), capabilities=engine_capabilities())
    mesh = Mesh(
        identity,
        config,
        storage.load(),
        entropy=os.urandom,
        wall_clock=time.time,
        now=asyncio.get_running_loop().time(),
    )
    with closing(control_server.bind(home)) as listener:
        try:
            engine = open_engine(
                mesh.wireguard_private_key,
                GateKeys.of(identity.public),
                settings.port,
                settings.tun_device,
                f"{mesh.overlay_address}/{OVERLAY_NETWORK.prefixlen}",
            )
            try:
                await _Node(settings, config, identity, storage, mesh, engine, listener).run(ready)
            finally:
                engine.stop()
        finally:
            home.control_socket.unlink(missing_ok=True)
    _log.info("stopped")


class _Node:
    """The parts of a running node, and their common end."""

    def __init__(
        self,
        settings: Settings,
        config: MeshConfig,
        identity: Identity,
        storage: Storage,
        mesh: Mesh,
        engine: Engine,
        listener: socket.socket,
    ) -> None:
        self._settings = settings
        self._config = config
        self._identity = identity
        self._storage = storage
        self._mesh = mesh
        self._engine = engine
        self._listener = listener
        self._stop = asyncio.Event()
        self._failure = ""

    async def run(self, ready: Callable[[schema.UpDocument], None]) -> None:
        """Raises NodeFailed."""
        port, tun = self._engine.port, self._engine.tun
        async with asyncio.TaskGroup() as tasks:
            lan = LanSockets() if self._settings.lan else None
            announce = (lambda _: None) if lan is None else lan.announce
            daemon = Daemon(self._mesh, self._engine, self._storage, self._make_client, tasks, self._fail, announce)
            if lan is not None:
                lan.start(
                    lambda data, source: daemon.feed(lambda mesh, now: mesh.announcement_received(data, source, now))
                )
            reachability = Reachability(daemon, port, tun, map_port=self._settings.map_port, lan=lan)
            reachability.look()
            commands = Commands(
                daemon,
                self._config,
                self._identity.fingerprint,
                port=port,
                tun=tun,
                host_addresses=lambda: [str(endpoint) for endpoint in reachability.endpoints],
                port_mappings=lambda: reachability.mappings,
                stop=self._stop.set,
            )
            server = ControlServer(self._listener, commands)
            await server.start()
            watching = tasks.create_task(reachability.watch())
            counting = tasks.create_task(watch_traffic(daemon.engine.counters, daemon.feed))
            with _stopped_by_signals(self._stop):
                _log.info("%s is up on UDP port %d", self._identity.fingerprint, port)
                for url in self._settings.open_to_listeners():
                    _log.warning("%s is not https: whoever listens on the way sees whom this node looks up", url)
                ready(_up(self._identity, port, tun))
                await self._stop.wait()
                watching.cancel()
                counting.cancel()
                daemon.stop()
                await asyncio.gather(server.stop(), reachability.stop())
        if self._failure:
            raise NodeFailed(f"the packet engine stopped: {self._failure}", "see `shadowmesh logs`")

    def _fail(self, reason: str) -> None:
        self._failure = reason
        self._stop.set()

    def _make_client(self, url: str, fingerprint: Fingerprint) -> BackboneClient:
        return BackboneClient(
            BackboneHttp(url, self._settings.ca_file),
            fingerprint,
            self._identity,
            self._storage,
            mode=self._config.mode,
            region=self._config.region,
            entropy=os.urandom,
            wall_clock=time.time,
        )


@contextmanager
def _stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """A second signal while the node stops changes nothing: it stops in less than two seconds."""
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in _STOP_SIGNALS:
            loop.remove_signal_handler(number)


def _up(identity: Identity, port: int, tun: str | None) -> schema.UpDocument:
    return schema.UpDocument(pid=os.getpid(), identity=reports.identity(identity.fingerprint), port=port, tun=tun)
