"""WebSocket /v1/updates: the frames of one connection, in and out."""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from shadowmesh.backbone.auth.tokens import Session
from shadowmesh.backbone.clock import Clock
from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.http.callers import Callers
from shadowmesh.backbone.http.problems import problem_response
from shadowmesh.backbone.metrics import Metrics
from shadowmesh.backbone.updates.connection import CloseReason, Connection
from shadowmesh.backbone.updates.service import Updates

_CLOSE_TIME_S = 1.0  # for a peer that does not read, after which the connection is just dropped


def router(updates: Updates, callers: Callers, metrics: Metrics, clock: Clock) -> APIRouter:
    routes = APIRouter(prefix="/v1")

    @routes.websocket("/updates")
    async def stream(websocket: WebSocket) -> None:
        try:
            session = callers.proven_upgrade(websocket)
            connection = await updates.connect(session.peer)
        except Refused as refused:
            metrics.refusals.labels(refused.problem.slug).inc()
            await websocket.send_denial_response(problem_response(refused))
            return
        try:
            await websocket.accept()
            await _run(websocket, connection, updates, callers, session, clock)
        finally:
            await updates.disconnect(connection)
        if connection.closing.done():
            await _close(websocket, connection.closing.result())

    return routes


async def _run(
    websocket: WebSocket, connection: Connection, updates: Updates, callers: Callers, session: Session, clock: Clock
) -> None:
    """Until either side closes, or the token is over."""
    reader = asyncio.create_task(_read(websocket, connection, updates, callers, session))
    writer = asyncio.create_task(_write(websocket, connection))
    try:
        ends = (reader, writer, connection.closing)
        done, _ = await asyncio.wait(ends, timeout=session.expires_at - clock(), return_when=asyncio.FIRST_COMPLETED)
        if not done:
            connection.close(CloseReason.TOKEN_OVER)
    finally:
        reader.cancel()
        writer.cancel()
        results = await asyncio.gather(reader, writer, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect):
            raise result


async def _read(
    websocket: WebSocket, connection: Connection, updates: Updates, callers: Callers, session: Session
) -> None:
    while (message := await websocket.receive())["type"] == "websocket.receive":
        if callers.revoked(session):
            connection.close(CloseReason.TOKEN_OVER)
            return
        await updates.receive(connection, message.get("bytes"))


async def _write(websocket: WebSocket, connection: Connection) -> None:
    while True:
        await websocket.send_bytes(await connection.next_outgoing())


async def _close(websocket: WebSocket, reason: CloseReason) -> None:
    with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
        async with asyncio.timeout(_CLOSE_TIME_S):
            await websocket.close(reason.code, reason.text)
