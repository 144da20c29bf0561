"""One peer's open connection for updates, seen from the side that writes to it."""

from __future__ import annotations

import asyncio
from enum import Enum

from shadowmesh.backbone_protocol.updates import MAX_SUBSCRIPTIONS, ServerMessage, encode
from shadowmesh.identity.names import PeerID

# All the answers to one full Subscribe, and as many again: about 80 KB for a peer that stopped reading.
MAX_QUEUED_MESSAGES = 2 * MAX_SUBSCRIPTIONS


class CloseReason(Enum):
    """WebSocket close code (4000 to 4999 are the application's own, RFC 6455 §7.4.2) and text."""

    REPLACED = (4000, "another connection of this peer took its place")
    TOKEN_OVER = (4001, "the token has expired or was revoked")
    TOO_SLOW = (4002, "the peer does not read what is sent to it")
    TOO_MANY_MESSAGES = (4003, "too many messages")

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text


class Connection:
    """Made inside a running event loop."""

    def __init__(self, peer: PeerID) -> None:
        self.peer = peer
        self.subscriptions: dict[PeerID, None] = {}
        self.closing: asyncio.Future[CloseReason] = asyncio.get_running_loop().create_future()
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue(MAX_QUEUED_MESSAGES)

    def send(self, message: ServerMessage) -> None:
        """Never waits: who does not read is disconnected, and finds out what it missed by looking up."""
        try:
            self._outgoing.put_nowait(encode(message))
        except asyncio.QueueFull:
            self.close(CloseReason.TOO_SLOW)

    async def next_outgoing(self) -> bytes:
        return await self._outgoing.get()

    def close(self, reason: CloseReason) -> None:
        if not self.closing.done():
            self.closing.set_result(reason)
