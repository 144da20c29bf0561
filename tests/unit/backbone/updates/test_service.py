"""The updates connection, as its clients see it."""

import asyncio
from pathlib import Path

import pytest

from shadowmesh.backbone.auth.tokens import TOKEN_LIFETIME_S
from shadowmesh.backbone.limits.rates import Rate
from shadowmesh.backbone.updates.connection import MAX_QUEUED_MESSAGES, CloseReason
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.updates import (
    MAX_SUBSCRIPTIONS,
    Call,
    CallFailed,
    Refused,
    SetHints,
    Subscribe,
    Unsubscribe,
    Update,
)
from shadowmesh.records.hints import Hints
from shadowmesh.records.peer_record import Mode
from shadowmesh.wire import cbor
from shadowmesh.wire.endpoint import Endpoint
from tests.unit.backbone.client import Client, Refusal, UpdatesInProcess, record_of
from tests.unit.backbone.world import World, limited, world

ENDPOINT = Endpoint.of("198.51.100.7", 41641)
TOKEN = b"t" * 16


async def test_a_subscription_is_answered_and_then_followed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        alice, bob = await published(w), await published(w)
        async with updates(w, alice) as socket:
            socket.send(Subscribe([bob.peer.raw]))
            assert not hints(await socket.receive()).online
            newer = record_of(bob.identity, sequence=9, issued_at=w.now)
            await bob.publish(newer)
            update = await socket.receive()
            assert isinstance(update, Update)
            assert update.record_id == newer.record_id


async def test_coming_and_going_is_told(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        alice, bob = await published(w), await published(w)
        async with updates(w, alice) as socket:
            socket.send(Subscribe([bob.peer.raw]))
            await socket.receive()
            async with updates(w, bob):
                assert hints(await socket.receive()).online
            w.clock.advance(0)
            assert not hints(await socket.receive()).online
        assert not Hints.decode((await alice.look_up(bob.peer)).hints).online


async def test_an_unknown_peer_is_told_of_when_it_publishes(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        alice, bob = await published(w), await w.logged_in()
        async with updates(w, alice) as socket:
            socket.send(Subscribe([bob.peer.raw]))
            socket.send(Subscribe([alice.peer.raw]))
            assert (await socket.receive()).peer == alice.peer.raw
            await bob.publish(record_of(bob.identity, issued_at=w.now))
            assert (await socket.receive()).peer == bob.peer.raw


async def test_an_unsubscribed_peer_is_not_told_of(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        alice, bob = await published(w), await published(w)
        async with updates(w, alice) as socket:
            socket.send(Subscribe([bob.peer.raw]))
            await socket.receive()
            socket.send(Unsubscribe([bob.peer.raw]))
            socket.send(Subscribe([alice.peer.raw]))
            await socket.receive()
            await bob.publish(record_of(bob.identity, sequence=9, issued_at=w.now))
            assert socket.is_quiet()


async def test_a_public_peers_endpoints_are_told(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        alice, bob = await published(w), await published(w, mode=Mode.PUBLIC)
        async with updates(w, alice) as listening, updates(w, bob) as speaking:
            listening.send(Subscribe([bob.peer.raw]))
            await listening.receive()
            speaking.send(SetHints([ENDPOINT.encode()]))
            assert hints(await listening.receive()).endpoints == (ENDPOINT,)
            assert Hints.decode((await alice.look_up(bob.peer)).hints).endpoints == (ENDPOINT,)


async def test_a_private_peers_endpoints_are_told_to_nobody(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        alice, bob = await published(w), await published(w, mode=Mode.PRIVATE)
        async with updates(w, alice) as listening, updates(w, bob) as speaking:
            listening.send(Subscribe([bob.peer.raw]))
            await listening.receive()
            speaking.send(SetHints([ENDPOINT.encode()]))
            assert hints(await listening.receive()).endpoints == ()


async def test_endpoints_are_forgotten_when_a_peer_turns_private(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        alice, bob = await published(w), await published(w, mode=Mode.PUBLIC)
        async with updates(w, bob) as speaking:
            speaking.send(SetHints([ENDPOINT.encode()]))
            speaking.send(Subscribe([alice.peer.raw]))
            await speaking.receive()
            await bob.publish(record_of(bob.identity, sequence=9, issued_at=w.now, mode=Mode.PRIVATE))
            assert Hints.decode((await alice.look_up(bob.peer)).hints).endpoints == ()


async def test_a_call_and_its_answer_are_passed_on(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        alice, bob = await w.logged_in(), await w.logged_in()
        async with updates(w, alice) as caller, updates(w, bob) as callee:
            caller.send(Call(bob.peer.raw, TOKEN, answer=False, endpoints=[ENDPOINT.encode()]))
            assert await callee.receive() == Call(alice.peer.raw, TOKEN, answer=False, endpoints=[ENDPOINT.encode()])
            callee.send(Call(alice.peer.raw, TOKEN, answer=True, endpoints=[]))
            assert await caller.receive() == Call(bob.peer.raw, TOKEN, answer=True, endpoints=[])


async def test_a_call_to_a_peer_that_is_not_here_fails(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        alice = await w.logged_in()
        async with updates(w, alice) as caller:
            caller.send(Call(b"x" * 20, TOKEN, answer=False, endpoints=[]))
            assert await caller.receive() == CallFailed(b"x" * 20, TOKEN, "not connected here")


async def test_a_caller_is_limited(tmp_path: Path) -> None:
    async with world(tmp_path, rates=limited(calls_per_caller=Rate(1, 1))) as w:
        alice, bob = await w.logged_in(), await w.logged_in()
        async with updates(w, alice) as caller, updates(w, bob):
            for _ in range(2):
                caller.send(Call(bob.peer.raw, TOKEN, answer=False, endpoints=[]))
            assert await caller.receive() == CallFailed(bob.peer.raw, TOKEN, "too many calls by you")


async def test_a_callee_is_spared_the_calls_of_many(tmp_path: Path) -> None:
    async with world(tmp_path, rates=limited(calls_per_callee=Rate(1, 1))) as w:
        alice, bob, carol = [await w.logged_in() for _ in range(3)]
        async with updates(w, alice) as first, updates(w, carol) as second, updates(w, bob) as callee:
            first.send(Call(bob.peer.raw, TOKEN, answer=False, endpoints=[]))
            await callee.receive()
            second.send(Call(bob.peer.raw, TOKEN, answer=False, endpoints=[]))
            assert await second.receive() == CallFailed(bob.peer.raw, TOKEN, "too many calls to this peer")


async def test_the_newest_connection_of_a_peer_wins(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        alice = await published(w)
        async with updates(w, alice) as first:
            async with updates(w, alice) as second:
                assert await first.close_code() == CloseReason.REPLACED.code
                second.send(Subscribe([alice.peer.raw]))
                assert hints(await second.receive()).online


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", Problem.MALFORMED),
        (b"\xff" * 100, Problem.MALFORMED),
        (cbor.encode([]), Problem.MALFORMED),
        (cbor.encode(["call"]), Problem.MALFORMED),
        (cbor.encode(["update", b"x" * 20, b"x" * 32, b""]), Problem.MALFORMED),
        (cbor.encode(["subscribe", [b"short"]]), Problem.MALFORMED),
        (cbor.encode(["subscribe", [b"x" * 20] * (MAX_SUBSCRIPTIONS + 1)]), Problem.MALFORMED),
        (cbor.encode(["hints", [bytes(18)]]), Problem.MALFORMED),
        (cbor.encode(["call", b"x" * 20, TOKEN, False, [bytes(18)]]), Problem.MALFORMED),
        (cbor.encode(["hints", []]).replace(b"\x65hints", b"\x78\x05hints"), Problem.NOT_CANONICAL),
        (bytes(5000), Problem.MALFORMED),
    ],
)
async def test_garbage_is_refused_and_the_connection_stays(tmp_path: Path, data: bytes, problem: Problem) -> None:
    async with world(tmp_path) as w:
        alice = await published(w)
        async with updates(w, alice) as socket:
            socket.send_bytes(data)
            refused = await socket.receive()
            assert isinstance(refused, Refused)
            assert refused.problem == problem.slug
            socket.send(Subscribe([alice.peer.raw]))
            assert isinstance(await socket.receive(), Update)


async def test_a_text_frame_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        async with updates(w, await w.logged_in()) as socket:
            socket.send_text("hello")
            refused = await socket.receive()
            assert isinstance(refused, Refused)
            assert refused.problem == Problem.UNSUPPORTED_MEDIA_TYPE.slug


async def test_the_129th_subscription_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        async with updates(w, await w.logged_in()) as socket:
            socket.send(Subscribe([number.to_bytes(20, "big") for number in range(MAX_SUBSCRIPTIONS)]))
            socket.send(Subscribe([b"y" * 20]))
            refused = await socket.receive()
            assert isinstance(refused, Refused)
            assert refused.problem == Problem.OVERLOADED.slug


async def test_a_flood_of_messages_ends_the_connection(tmp_path: Path) -> None:
    async with world(tmp_path, rates=limited(messages_per_peer=Rate(1, 3))) as w:
        async with updates(w, await w.logged_in()) as socket:
            for _ in range(4):
                socket.send(SetHints([]))
            assert await socket.close_code() == CloseReason.TOO_MANY_MESSAGES.code


async def test_connections_of_one_peer_are_limited(tmp_path: Path) -> None:
    async with world(tmp_path, rates=limited(connections_per_peer=Rate(1, 1))) as w:
        alice = await w.logged_in()
        async with updates(w, alice):
            pass
        with pytest.raises(Refusal) as refusal:
            await updates(w, alice).__aenter__()
        assert refusal.value.problem is Problem.RATE_LIMITED


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
                caller.send(Call(alice.peer.raw, TOKEN, answer=False, endpoints=[]))
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
        super().__init__(transport, client.bearer)


async def published(w: World, mode: Mode = Mode.PRIVATE) -> Client:
    client = await w.logged_in()
    await client.publish(record_of(client.identity, issued_at=w.now, mode=mode))
    return client


def updates(w: World, client: Client) -> UpdatesInProcess:
    return UpdatesInProcess(w.transport(), client.bearer)


def hints(message: object) -> Hints:
    assert isinstance(message, Update)
    return Hints.decode(message.hints)
