"""The control API's server: Starlette and uvicorn on a Unix socket that only its owner can open."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from shadowmesh.control import routes, schema
from shadowmesh.control.errors import ControlError, ErrorCode, ShadowMeshError
from shadowmesh.control.home import MAX_SOCKET_PATH_BYTES, Home
from shadowmesh.control.routes import Route
from shadowmesh.node.commands import Commands
from shadowmesh.node.errors import HomeUnusable

MAX_CONCURRENT = 512
_BACKLOG = 64
_STOP_TIMEOUT_S = 1
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


def create_app(commands: Commands) -> Starlette:
    table: Mapping[Route[Any, Any], Command] = {
        routes.STATUS: commands.status,
        routes.TRUSTED: commands.trusted,
        routes.TRUST: commands.trust,
        routes.UNTRUST: commands.untrust,
        routes.LOOKUP: commands.look_up,
        routes.PING: commands.ping,
        routes.STOP: commands.stop,
    }
    return Starlette(
        routes=[
            StarletteRoute(route.path, _endpoint(route, command), methods=[route.method])
            for route, command in table.items()
        ],
        exception_handlers={HTTPException: _not_found, Exception: _internal},
    )


class ControlServer:
    def __init__(self, listener: socket.socket, commands: Commands) -> None:
        self._listener = listener
        self._server = _QuietServer(
            uvicorn.Config(
                create_app(commands),
                http="h11",
                ws="none",
                lifespan="off",
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=MAX_CONCURRENT,
                timeout_graceful_shutdown=_STOP_TIMEOUT_S,
            )
        )

    async def serve(self) -> None:
        """Until `stop`."""
        await self._server.serve(sockets=[self._listener])

    def stop(self) -> None:
        """Requests on their way have a second left."""
        self._server.should_exit = True


class _QuietServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the daemon's business."""
        yield


def _endpoint(route: Route[Any, Any], command: Command) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return _json(200, await command(await _read(request, route)))
        except ShadowMeshError as error:
            return _failure(error)

    return endpoint


async def _read(request: Request, route: Route[Any, Any]) -> Any:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > schema.MAX_REQUEST_BYTES:
            raise ControlError(ErrorCode.USAGE, f"a request of more than {schema.MAX_REQUEST_BYTES} bytes", "")
    if route.request is type(None):
        return None
    try:
        return msgspec.json.decode(body, type=route.request)
    except schema.NOT_UNDERSTOOD as error:
        raise ControlError(ErrorCode.USAGE, f"the request is not legal: {error}", "see docs/spec/control.md") from None


async def _not_found(_: Request, error: Exception) -> Response:
    detail = error.detail if isinstance(error, HTTPException) else "not found"
    return _failure(ControlError(ErrorCode.USAGE, f"the control API: {detail}", "see docs/spec/control.md"))


async def _internal(request: Request, error: Exception) -> Response:
    _log.error("internal error in %s", request.url.path, exc_info=error)
    return _failure(ControlError(ErrorCode.FAILED, "internal error of the daemon", "see `shadowmesh logs`"))


def _failure(error: ShadowMeshError) -> Response:
    document = schema.ErrorDocument(
        error=schema.Error(code=error.code.slug, problem=error.problem, remedy=error.remedy)
    )
    return _json(error.code.http_status, document)


def _json(status: int, document: schema.Document) -> Response:
    return Response(msgspec.json.encode(document), status_code=status, media_type="application/json")
