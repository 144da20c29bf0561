"""The WebSocket itself: who gets one, and how it ends."""

import asyncio
from pathlib import Path

import pytest
from tests.unit.backbone.client import Client, Refusal, UpdatesInProcess
from tests.unit.backbone.world import World, world

from shadowmesh.backbone.auth.tokens import TOKEN_LIFETIME_S
from shadowmesh.backbone.updates.connection import MAX_QUEUED_MESSAGES, CloseReason
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.updates import (
    Call,
    CallFailed,
    SetHints,
)
from shadowmesh.wire.endpoint import Endpoint

ENDPOINT = Endpoint.of("198.51.100.7", 41641)
TOKEN = b"t" * 16


async def test_a_connection_needs_a_token(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for headers, problem in (({}, Problem.TOKEN_MISSING), ({"authorization": "Bearer x"}, Problem.TOKEN_INVALID)):
            with pytest.raises(Refusal) as refusal:
                await UpdatesInProcess(w.transport(), headers).__aenter__()
            assert refusal.value.problem is problem


async def test_a_revoked_token_ends_its_connection_with_the_next_message(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        alice = await w.logged_in()
        async with updates(w, alice) as socket:
            await alice.revoke()
            socket.send(SetHints([]))
            assert await socket.close_code() == CloseReason.TOKEN_OVER.code


async def test_a_connection_ends_with_its_token(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        alice = await w.logged_in()
        w.clock.advance(TOKEN_LIFETIME_S - 0.05)
        async with updates(w, alice) as socket:
            assert await socket.close_code() == CloseReason.TOKEN_OVER.code


async def test_a_peer_that_does_not_read_is_disconnected(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        alice, bob = await w.logged_in(), await w.logged_in()
        stuck = StuckReader(w, alice)
        async with stuck, updates(w, bob) as caller:
            for _ in range(MAX_QUEUED_MESSAGES + 2):
                caller.send(Call(alice.peer.raw, TOKEN, answer=False, candidates=[], nat=bytes(8)))
            assert await caller.receive() == CallFailed(alice.peer.raw, TOKEN, "not connected here")
        assert b"shadowmesh_slow_readers_total 1.0" in w.services.metrics.text()


class StuckReader(UpdatesInProcess):
    """Accepts the connection, and then takes nothing until it has been given up."""

    def __init__(self, w: World, client: Client) -> None:
        transport = w.transport()
        inner = transport.app

        async def app(scope, receive, send):  # type: ignore[no-untyped-def]
            async def sluggish(message):  # type: ignore[no-untyped-def]
                if message["type"] == "websocket.send":
                    await asyncio.Event().wait()
                await send(message)

            await inner(scope, receive, sluggish)

        transport.app = app
        super().__init__(transport, client.upgrade)


def updates(w: World, client: Client) -> UpdatesInProcess:
    return UpdatesInProcess(w.transport(), client.upgrade)
