"""Runs a backbone node: sockets, services, HTTP, STUN and the regular tasks, until a signal comes."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import uvicorn

from shadowmesh.backbone import sockets
from shadowmesh.backbone.app import create_app
from shadowmesh.backbone.config import BackboneConfig
from shadowmesh.backbone.data_folder import DataFolder
from shadowmesh.backbone.directory import description
from shadowmesh.backbone.http.protocol import BoundedHttpProtocol
from shadowmesh.backbone.services import Services, open_services
from shadowmesh.backbone.stun import responder
from shadowmesh.backbone_protocol.updates import MAX_MESSAGE_BYTES
from shadowmesh.identity.keys import Identity
from shadowmesh.wire.endpoint import Endpoint

_LOG = logging.getLogger(__name__)
_SWEEP_EVERY_S = 60.0
_DIRECTORY_EVERY_S = 2.0  # an operator who installs a directory sees it served when looking
_STOP_TIME_S = 1
_MAX_HTTP_CONNECTIONS = 12_000  # a few more than open connections for updates
_KEEP_ALIVE_S = 30
# An open connection for updates is known to be alive to within 40 s; middleboxes forget silent ones after minutes.
_PING_EVERY_S = 20.0
_PING_TIME_S = 20.0
_MAX_STUN_ENDPOINTS = 4  # of a directory entry: two ports in two families


@dataclass(frozen=True, slots=True)
class RunOptions:
    """`config.urls` may be empty, and `config.stun` too: both then follow from the sockets."""

    data: Path
    host: str
    port: int
    config: BackboneConfig
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    stun_hosts: Sequence[str] = ()
    stun_ports: Sequence[int] = ()
    stun_addresses: Sequence[str] = ()  # public ones, when they are not those that the sockets are bound to


@dataclass(frozen=True, slots=True)
class Ready:
    """What a client needs to know of a server that now answers."""

    url: str
    fingerprint: str
    stun: tuple[str, ...]


def run(options: RunOptions, on_ready: Callable[[Ready], None]) -> None:
    """Returns after SIGTERM or SIGINT. Raises CannotStart."""
    with ExitStack() as stack:
        tls = sockets.check_tls(options.tls_certificate, options.tls_key)
        folder = DataFolder(options.data)
        stack.callback(folder.open().close)
        identity = folder.load_or_make_identity(os.urandom)
        http_socket = stack.enter_context(sockets.listen(options.host, options.port))
        stun_sockets = responder.bind_sockets(options.stun_hosts, options.stun_ports)
        for bound in stun_sockets:
            stack.callback(bound.close)
        config = _completed(options, http_socket, stun_sockets, tls=tls)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_run(options, folder, identity, config, http_socket, stun_sockets, on_ready))


async def _run(
    options: RunOptions,
    folder: DataFolder,
    identity: Identity,
    config: BackboneConfig,
    http_socket: socket.socket,
    stun_sockets: Sequence[socket.socket],
    on_ready: Callable[[Ready], None],
) -> None:
    services = await open_services(folder, identity, config, time.time, os.urandom)
    try:
        description.write(folder.node, services.node, identity)
        transports = await responder.start(stun_sockets, config.rates.stun_per_address, time.time, services.metrics)
        stun = tuple(str(endpoint) for endpoint in config.stun)
        ready = Ready(config.urls[0], str(identity.fingerprint), stun)
        server = _Server(uvicorn_config(options, services), lambda: on_ready(ready))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, server.stop)
        regular = [
            asyncio.create_task(_regularly(_SWEEP_EVERY_S, services.sweep)),
            asyncio.create_task(_regularly(_DIRECTORY_EVERY_S, services.refresh_directory)),
        ]
        try:
            await server.serve([http_socket])
        finally:
            for task in regular:
                task.cancel()
            await asyncio.gather(*regular, return_exceptions=True)
            for transport in transports:
                transport.close()
    finally:
        await services.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    def stop(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Ours are handled by the loop; uvicorn would raise them once more after a clean stop.
        yield


def uvicorn_config(options: RunOptions, services: Services) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(services),
        http=BoundedHttpProtocol,
        ws="websockets-sansio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # request_limits decides whom to believe
        ssl_certfile=options.tls_certificate,
        ssl_keyfile=options.tls_key,
        limit_concurrency=_MAX_HTTP_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_STOP_TIME_S,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=_PING_EVERY_S,
        ws_ping_timeout=_PING_TIME_S,
        ws_per_message_deflate=False,  # records and addresses do not compress, and a bomb would
    )


async def _regularly(every_s: float, action: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            await action()
        except Exception:
            _LOG.exception("a regular task failed, and will be tried again")


def _completed(
    options: RunOptions, http_socket: socket.socket, stun_sockets: Sequence[socket.socket], *, tls: bool
) -> BackboneConfig:
    host, port = http_socket.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    urls = options.config.urls or [f"{'https' if tls else 'http'}://{shown}:{port}"]
    bound = [Endpoint.of(*address.getsockname()[:2]) for address in stun_sockets]
    if options.stun_addresses:
        ports = dict.fromkeys(endpoint.port for endpoint in bound)
        stun = [Endpoint.of(address, port) for address in options.stun_addresses for port in ports]
    else:
        # A wildcard is nowhere that a client could send to.
        stun = [endpoint for endpoint in bound if not endpoint.address.is_unspecified]
    return replace(options.config, urls=tuple(urls), stun=tuple(stun[:_MAX_STUN_ENDPOINTS]))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
