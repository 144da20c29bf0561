import asyncio

import aiohttp
import pytest
from aiohttp import web
from tests.unit.identity.people import ALICE

from shadowmesh.backbone_protocol.updates import Subscribe, encode
from shadowmesh.node.backbone_http import BackboneHttp
from shadowmesh.node.updates_socket import MAX_UNSENT, UpdatesClosed, UpdatesSocket


@pytest.mark.parametrize(
    "frame", [b"", b"\xff" * 40, encode(Subscribe([ALICE.peer_id.raw])), bytes(5000), "text"], ids=repr
)
async def test_what_is_not_a_servers_message_ends_the_connection(frame: bytes | str) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))
        await socket.receive()

    async def check(socket: UpdatesSocket) -> None:
        with pytest.raises(UpdatesClosed):
            await asyncio.wait_for(socket.receive(), 10)

    await _with_server(talk, check)


async def test_messages_leave_in_their_order() -> None:
    received: list[bytes] = []
    complete = asyncio.Event()

    async def talk(socket: web.WebSocketResponse) -> None:
        async for message in socket:
            received.append(message.data)
            if len(received) == 3:
                complete.set()

    messages = [Subscribe([bytes([number]) * 20]) for number in range(3)]

    async def check(socket: UpdatesSocket) -> None:
        writing = asyncio.create_task(socket.write())
        for message in messages:
            socket.send(message)
        await asyncio.wait_for(complete.wait(), 10)
        writing.cancel()

    await _with_server(talk, check)
    assert received == [encode(message) for message in messages]


async def test_a_full_queue_ends_the_connection() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.receive()

    async def check(socket: UpdatesSocket) -> None:
        for _ in range(MAX_UNSENT + 1):
            socket.send(Subscribe([ALICE.peer_id.raw]))
        with pytest.raises(UpdatesClosed, match="too slowly"):
            await asyncio.wait_for(socket.write(), 10)

    await _with_server(talk, check)


async def test_a_close_by_the_server_is_told() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)

    async def check(socket: UpdatesSocket) -> None:
        with pytest.raises(UpdatesClosed, match="closed the connection"):
            await asyncio.wait_for(socket.receive(), 10)

    await _with_server(talk, check)


async def _with_server(talk, check) -> None:  # type: ignore[no-untyped-def]
    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await talk(socket)
        return socket

    app = web.Application()
    app.router.add_get("/v1/updates", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    http = BackboneHttp(f"http://127.0.0.1:{runner.addresses[0][1]}", "")
    socket = await UpdatesSocket.open(http, {})
    try:
        await check(socket)
    finally:
        await socket.close()
        await http.close()
        await runner.cleanup()
