"""The WebSocket for live updates: messages in, messages out, both bounded."""

from __future__ import annotations

import asyncio
from typing import Self

import aiohttp

from shadowmesh.backbone_protocol import updates
from shadowmesh.backbone_protocol.updates import ClientMessage, ServerMessage
from shadowmesh.node.backbone_http import BackboneHttp
from shadowmesh.wire.errors import DecodeError

UPDATES_PATH = "/v1/updates"
HEARTBEAT_S = 25.0
"""Under the 30 s that the shortest NAT and proxy time-outs leave an idle connection."""
SEND_TIMEOUT_S = 20.0
MAX_UNSENT = 256
"""A subscription and a call for each of the 100 peers of the cache go out in one burst."""


class UpdatesClosed(Exception):
    """The text is the reason."""


class UpdatesSocket:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._unsent: asyncio.Queue[bytes] = asyncio.Queue(MAX_UNSENT)
        self._overflowed = False

    @classmethod
    async def open(cls, http: BackboneHttp, headers: dict[str, str]) -> Self:
        """Raises BackboneRefused."""
        return cls(
            await http.open_socket(
                UPDATES_PATH, headers=headers, max_bytes=updates.MAX_MESSAGE_BYTES, heartbeat_s=HEARTBEAT_S
            )
        )

    def send(self, message: ClientMessage) -> None:
        """Queues it. When the queue is full the connection is given up: the server's picture of us would be wrong."""
        try:
            self._unsent.put_nowait(updates.encode(message))
        except asyncio.QueueFull:
            self._overflowed = True

    async def write(self) -> None:
        """Sends what `send` queued until it is cancelled. Raises UpdatesClosed."""
        while not self._overflowed:
            data = await self._unsent.get()
            try:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await self._socket.send_bytes(data)
            except (aiohttp.ClientError, OSError) as error:
                raise UpdatesClosed(str(error) or "the connection is lost") from None
        raise UpdatesClosed("the server takes messages too slowly")

    async def receive(self) -> ServerMessage:
        """Raises UpdatesClosed, also for anything that is not a message."""
        try:
            frame = await self._socket.receive()
        except (aiohttp.ClientError, OSError) as error:
            raise UpdatesClosed(str(error) or "the connection is lost") from None
        if frame.type is aiohttp.WSMsgType.BINARY:
            try:
                return updates.decode_server_message(frame.data)
            except DecodeError as error:
                raise UpdatesClosed(str(error)) from None
        if frame.type is aiohttp.WSMsgType.ERROR:
            raise UpdatesClosed(str(frame.data) or "the connection is lost")
        code = self._socket.close_code
        raise UpdatesClosed("the server closed the connection" + (f" ({code})" if code else ""))

    async def close(self) -> None:
        await self._socket.close()
