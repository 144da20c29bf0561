"""The updates connection, as its clients see it."""

from pathlib import Path

import pytest
from tests.unit.backbone.client import Client, Refusal, UpdatesInProcess, record_of
from tests.unit.backbone.world import World, limited, world

from shadowmesh.backbone.limits.rates import Rate
from shadowmesh.backbone.updates.connection import CloseReason
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.updates import (
    MAX_SUBSCRIPTIONS,
    Call,
    CallFailed,
    DirectoryChanged,
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

ENDPOINT = Endpoint.of("198.51.100.7", 41641)
TOKEN = b"t" * 16
CANDIDATE = b"\1" + ENDPOINT.encode()
NAT = bytes(8)


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
            assert subject(await socket.receive()) == alice.peer.raw
            await bob.publish(record_of(bob.identity, issued_at=w.now))
            assert subject(await socket.receive()) == bob.peer.raw


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
            caller.send(Call(bob.peer.raw, TOKEN, answer=False, candidates=[CANDIDATE], nat=NAT))
            assert await callee.receive() == Call(alice.peer.raw, TOKEN, answer=False, candidates=[CANDIDATE], nat=NAT)
            callee.send(Call(alice.peer.raw, TOKEN, answer=True, candidates=[], nat=NAT))
            assert await caller.receive() == Call(bob.peer.raw, TOKEN, answer=True, candidates=[], nat=NAT)


async def test_a_call_to_a_peer_that_is_not_here_fails(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        alice = await w.logged_in()
        async with updates(w, alice) as caller:
            caller.send(Call(b"x" * 20, TOKEN, answer=False, candidates=[], nat=NAT))
            assert await caller.receive() == CallFailed(b"x" * 20, TOKEN, "not connected here")


async def test_a_caller_is_limited(tmp_path: Path) -> None:
    async with world(tmp_path, rates=limited(calls_per_caller=Rate(1, 1))) as w:
        alice, bob = await w.logged_in(), await w.logged_in()
        async with updates(w, alice) as caller, updates(w, bob):
            for _ in range(2):
                caller.send(Call(bob.peer.raw, TOKEN, answer=False, candidates=[], nat=NAT))
            assert await caller.receive() == CallFailed(bob.peer.raw, TOKEN, "too many calls by you")


async def test_a_callee_is_spared_the_calls_of_many(tmp_path: Path) -> None:
    async with world(tmp_path, rates=limited(calls_per_callee=Rate(1, 1))) as w:
        alice, bob, carol = [await w.logged_in() for _ in range(3)]
        async with updates(w, alice) as first, updates(w, carol) as second, updates(w, bob) as callee:
            first.send(Call(bob.peer.raw, TOKEN, answer=False, candidates=[], nat=NAT))
            await callee.receive()
            second.send(Call(bob.peer.raw, TOKEN, answer=False, candidates=[], nat=NAT))
            assert await second.receive() == CallFailed(bob.peer.raw, TOKEN, "too many calls to this peer")


async def test_the_newest_connection_of_a_peer_wins(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        alice = await published(w)
        async with updates(w, alice) as first, updates(w, alice) as second:
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
    async with world(tmp_path) as w, updates(w, await w.logged_in()) as socket:
        socket.send_text("hello")
        refused = await socket.receive()
        assert isinstance(refused, Refused)
        assert refused.problem == Problem.UNSUPPORTED_MEDIA_TYPE.slug


async def test_the_129th_subscription_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w, updates(w, await w.logged_in()) as socket:
        socket.send(Subscribe([number.to_bytes(20, "big") for number in range(MAX_SUBSCRIPTIONS)]))
        socket.send(Subscribe([b"y" * 20]))
        refused = await socket.receive()
        assert isinstance(refused, Refused)
        assert refused.problem == Problem.OVERLOADED.slug


async def test_a_flood_of_messages_ends_the_connection(tmp_path: Path) -> None:
    rates = limited(messages_per_peer=Rate(1, 3))
    async with world(tmp_path, rates=rates) as w, updates(w, await w.logged_in()) as socket:
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


async def test_a_token_without_its_key_does_not_open_the_updates(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        alice = await w.logged_in()
        with pytest.raises(Refusal) as refusal:
            await UpdatesInProcess(w.transport(), alice.bearer).__aenter__()
        assert refusal.value.problem is Problem.PROOF_MISSING


async def test_the_proof_that_opened_the_updates_does_not_open_them_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        headers = (await w.logged_in()).upgrade
        async with UpdatesInProcess(w.transport(), headers):
            pass
        with pytest.raises(Refusal) as refusal:
            await UpdatesInProcess(w.transport(), headers).__aenter__()
        assert refusal.value.problem is Problem.PROOF_REPLAYED


async def test_a_new_directory_is_announced_to_everybody(tmp_path: Path) -> None:
    async with world(tmp_path) as w, updates(w, await w.logged_in()) as socket:
        w.services.updates.directory_changed(7)
        assert await socket.receive() == DirectoryChanged(7)


async def published(w: World, mode: Mode = Mode.PRIVATE) -> Client:
    client = await w.logged_in()
    await client.publish(record_of(client.identity, issued_at=w.now, mode=mode))
    return client


def updates(w: World, client: Client) -> UpdatesInProcess:
    return UpdatesInProcess(w.transport(), client.upgrade)


def subject(message: object) -> bytes:
    assert isinstance(message, Update)
    return message.peer


def hints(message: object) -> Hints:
    assert isinstance(message, Update)
    return Hints.decode(message.hints)
