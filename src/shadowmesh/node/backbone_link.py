"""Carries out the mesh's requests to the backbone, and feeds the answers back.

Each request is answered by exactly one input, but for those that were on their way at a `LeaveBackbone`: these are
dropped, since the mesh has given them up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Protocol, TypeAlias

from shadowmesh.backbone_protocol.updates import ClientMessage, ServerMessage
from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.mesh.machine import Mesh
from shadowmesh.mesh.outputs import (
    FetchDirectory,
    LeaveBackbone,
    LogIn,
    LookUp,
    OpenUpdates,
    PublishRecord,
    Renew,
    SendUpdate,
)
from shadowmesh.node.backbone_client import BackboneClient
from shadowmesh.node.backbone_http import BackboneRefused
from shadowmesh.node.updates_socket import UpdatesClosed, UpdatesSocket
from shadowmesh.records.peer_record import SignedRecord

MAX_REQUESTS = 64
"""On their way or waiting: 4 connections serve them, so the last one waits for 16 round trips."""

BackboneRequest: TypeAlias = (
    LogIn | Renew | FetchDirectory | PublishRecord | LookUp | OpenUpdates | SendUpdate | LeaveBackbone
)
Step: TypeAlias = Callable[[Mesh, float], None]
"""One input of the mesh, to be called with the time."""


class ClientFactory(Protocol):
    def __call__(self, url: str, fingerprint: Fingerprint) -> BackboneClient:
        """Raises BackboneRefused when its settings can't be used."""


class BackboneLink:
    """`obey` never blocks, and nothing is fed before it has returned."""

    def __init__(self, make_client: ClientFactory, feed: Callable[[Step], None], tasks: asyncio.TaskGroup) -> None:
        self._make_client = make_client
        self._feed = feed
        self._group = tasks
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._client: BackboneClient | None = None
        self._server: tuple[str, Fingerprint] | None = None
        self._updates: UpdatesSocket | None = None
        self._receiving: asyncio.Task[None] | None = None

    def obey(self, request: BackboneRequest) -> None:
        match request:
            case SendUpdate(message):
                self._send_update(message)
            case LeaveBackbone():
                self.leave()
            case LookUp(peer) if len(self._tasks) >= MAX_REQUESTS:
                self._fail_look_up(peer, "too many requests at a time")
            case LookUp(peer, have):
                self._start(self._ask(partial(self._look_up, peer, have), partial(_look_up_failed, peer)))
            case LogIn(url, fingerprint):
                self._start(self._ask(partial(self._log_in, url, fingerprint)))
            case Renew():
                self._start(self._ask(self._renew))
            case FetchDirectory():
                self._start(self._ask(self._fetch_directory))
            case PublishRecord(record):
                self._start(self._ask(partial(self._publish, record)))
            case OpenUpdates():
                before, self._receiving = self._receiving, None
                self._receiving = self._start(self._receive_updates(before))

    def leave(self) -> None:
        """Drops requests, connections and the token. Idempotent."""
        client, self._client, self._server, self._updates = self._client, None, None, None
        for task in list(self._tasks):
            task.cancel()
        if client is not None:
            self._group.create_task(client.close())

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._group.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task

    async def _ask(
        self, request: Callable[[], Awaitable[Step]], failed: Callable[[BackboneRefused], Step] | None = None
    ) -> None:
        try:
            step = await request()
        except BackboneRefused as refused:
            step = (failed or _backbone_failed)(refused)
        self._feed(step)

    async def _log_in(self, url: str, fingerprint: Fingerprint) -> Step:
        if self._client is None or self._server != (url, fingerprint):
            if self._client is not None:
                await self._client.close()
            self._client, self._server = self._make_client(url, fingerprint), (url, fingerprint)
        session = await self._client.log_in()
        return lambda mesh, now: mesh.logged_in(session.token_expires_at, session.directory_version, now)

    async def _renew(self) -> Step:
        session = await self._logged_in().renew()
        return lambda mesh, now: mesh.renewed(session.token_expires_at, session.directory_version, now)

    async def _fetch_directory(self) -> Step:
        encoded = await self._logged_in().directory()
        return lambda mesh, now: mesh.directory_received(encoded, now)

    async def _publish(self, record: SignedRecord) -> Step:
        await self._logged_in().publish(record)
        return lambda mesh, now: mesh.published(now)

    async def _look_up(self, peer: PeerID, have: bytes | None) -> Step:
        found = await self._logged_in().look_up(peer, have)
        if found is None:
            return lambda mesh, now: mesh.peer_not_found(peer, now)
        return lambda mesh, now: mesh.peer_found(peer, found.record, found.record_id, found.hints, now)

    def _fail_look_up(self, peer: PeerID, reason: str) -> None:
        step = _look_up_failed(peer, BackboneRefused(None, reason))
        asyncio.get_running_loop().call_soon(self._feed, step)

    async def _receive_updates(self, before: asyncio.Task[None] | None) -> None:
        try:
            if before is not None and not before.done():
                before.cancel()
                await self._logged_in().drop_connections()
            socket = await self._logged_in().open_updates()
        except BackboneRefused as refused:
            self._feed(_updates_closed(refused.detail))
            return
        self._updates = socket
        reason = ""
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(socket.write())
                self._feed(lambda mesh, now: mesh.updates_opened(now))
                while True:
                    self._feed(_update_received(await socket.receive()))
        except* UpdatesClosed as closed:
            reason = str(closed.exceptions[0])
        finally:
            if self._updates is socket:
                self._updates = None
            await socket.close()
        self._feed(_updates_closed(reason))

    def _send_update(self, message: ClientMessage) -> None:
        if self._updates is not None:
            self._updates.send(message)

    def _logged_in(self) -> BackboneClient:
        if self._client is None:
            raise BackboneRefused(None, "not logged in to any backbone node")
        return self._client


def _backbone_failed(refused: BackboneRefused) -> Step:
    return lambda mesh, now: mesh.backbone_failed(refused.problem, refused.detail, refused.retry_after_s, now)


def _look_up_failed(peer: PeerID, refused: BackboneRefused) -> Step:
    return lambda mesh, now: mesh.look_up_failed(peer, refused.detail, now)


def _update_received(message: ServerMessage) -> Step:
    return lambda mesh, now: mesh.update_received(message, now)


def _updates_closed(reason: str) -> Step:
    return lambda mesh, now: mesh.updates_closed(reason, now)
