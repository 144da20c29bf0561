"""The control API's server: HTTP on a Unix socket that only its owner can open.

aiohttp serves it because the backbone client has it in memory already: docs/decisions/0005.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from shadowmesh.control import routes, schema
from shadowmesh.control.errors import ControlError, ErrorCode, ShadowMeshError
from shadowmesh.control.home import MAX_SOCKET_PATH_BYTES, Home
from shadowmesh.control.routes import Route
from shadowmesh.node.commands import Commands
from shadowmesh.node.errors import HomeUnusable

_BACKLOG = 64
_STOP_TIMEOUT_S = 1.0
_log = logging.getLogger(__name__)

Command = Callable[[Any], Awaitable[schema.Document]]


def bind(home: Home) -> socket.socket:
    """A listening socket with mode 0600 from the start. The caller holds the home's lock. Raises HomeUnusable."""
    path = home.control_socket
    if not home.control_socket_fits:
        raise HomeUnusable(
            f"{path} is longer than the {MAX_SOCKET_PATH_BYTES} bytes that a socket's path may have",
            "choose a shorter folder with --home",
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)  # of a daemon that was killed: the lock says that none is running
        listener.bind(str(path))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise HomeUnusable(f"{path} can't be made ({error.strerror})", "check the folder's owner") from None
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def create_app(commands: Commands) -> web.Application:
    table: Mapping[Route[Any, Any], Command] = {
        routes.STATUS: commands.status,
        routes.TRUSTED: commands.trusted,
        routes.TRUST: commands.trust,
        routes.UNTRUST: commands.untrust,
        routes.LOOKUP: commands.look_up,
        routes.PING: commands.ping,
        routes.NETCHECK: commands.netcheck,
        routes.WHY: commands.why,
        routes.STOP: commands.stop,
    }
    app = web.Application(middlewares=[_errors_as_documents], client_max_size=schema.MAX_REQUEST_BYTES)
    for route, command in table.items():
        app.router.add_route(route.method, route.path, _handler(route, command))
    return app


class ControlServer:
    def __init__(self, listener: socket.socket, commands: Commands) -> None:
        self._listener = listener
        self._runner = web.AppRunner(
            create_app(commands), access_log=None, handle_signals=False, shutdown_timeout=_STOP_TIMEOUT_S
        )

    async def start(self) -> None:
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener, backlog=_BACKLOG).start()

    async def stop(self) -> None:
        """Requests on their way have a second left."""
        await self._runner.cleanup()


def _handler(route: Route[Any, Any], command: Command) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        return _json(200, await command(await _read(request, route)))

    return handle


async def _read(request: web.Request, route: Route[Any, Any]) -> Any:
    body = await request.read()
    if route.request is type(None):
        return None
    try:
        return msgspec.json.decode(body, type=route.request)
    except schema.NOT_UNDERSTOOD as error:
        raise ControlError(ErrorCode.USAGE, f"the request is not legal: {error}", "see docs/spec/control.md") from None


@web.middleware
async def _errors_as_documents(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except ShadowMeshError as error:
        return _failure(error)
    except web.HTTPRequestEntityTooLarge:
        return _failure(ControlError(ErrorCode.USAGE, f"a request of more than {schema.MAX_REQUEST_BYTES} bytes", ""))
    except web.HTTPException as error:
        return _failure(ControlError(ErrorCode.USAGE, f"the control API: {error.reason}", "see docs/spec/control.md"))
    except Exception as error:
        _log.error("internal error in %s", request.path, exc_info=error)
        return _failure(ControlError(ErrorCode.FAILED, "internal error of the daemon", "see `shadowmesh logs`"))


def _failure(error: ShadowMeshError) -> web.Response:
    document = schema.ErrorDocument(
        error=schema.Error(code=error.code.slug, problem=error.problem, remedy=error.remedy)
    )
    return _json(error.code.http_status, document)


def _json(status: int, document: schema.Document) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), status=status, content_type="application/json")
