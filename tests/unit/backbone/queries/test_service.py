"""Look-ups."""

from collections.abc import Awaitable
from pathlib import Path

import pytest
from tests.unit.backbone.client import Refusal, record_of
from tests.unit.backbone.world import limited, world

from shadowmesh.backbone.limits.rates import Rate
from shadowmesh.backbone_protocol.body import encode_cbor
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.identity.names import Fingerprint
from shadowmesh.records.hints import Hints


async def test_a_repeated_look_up_leaves_the_record_out_and_is_small(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        record = record_of(client.identity, issued_at=w.now)
        await client.publish(record)
        reply = await client.look_up(client.peer, have=record.record_id)
        assert reply.record is None
        assert reply.record_id == record.record_id
        assert len(encode_cbor(reply)) < 200


async def test_a_peer_is_found_by_every_form_of_its_name(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        await client.publish(record_of(client.identity, issued_at=w.now))
        fingerprint = client.identity.fingerprint
        for name in (client.peer, fingerprint, client.peer.raw.hex(), fingerprint.raw.hex(), str(client.peer).upper()):
            assert (await client.look_up(name)).record


async def test_a_fingerprint_with_another_end_is_not_this_peer(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        await client.publish(record_of(client.identity, issued_at=w.now))
        near = Fingerprint(client.peer.raw + bytes(12))
        assert await problem(client.look_up(near)) is Problem.PEER_UNKNOWN


async def test_hints_say_when_the_peer_was_last_here(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        record = record_of(client.identity, issued_at=w.now)
        await client.publish(record)
        w.clock.advance(500)
        reply = await client.look_up(client.peer, have=record.record_id)
        assert Hints.decode(reply.hints) == Hints(online=False, last_seen_at=w.now - 500)


async def test_a_prepared_reply_follows_the_record(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        first = record_of(client.identity, sequence=1, issued_at=w.now)
        second = record_of(client.identity, sequence=2, issued_at=w.now)
        await client.publish(first)
        await client.look_up(client.peer, have=first.record_id)
        await client.publish(second)
        assert (await client.look_up(client.peer, have=first.record_id)).record == second.encoded
        assert (await client.look_up(client.peer, have=second.record_id)).record is None


async def test_an_unknown_peer_is_a_problem_of_its_own(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        assert await problem(client.look_up(client.peer)) is Problem.PEER_UNKNOWN


@pytest.mark.parametrize("name", ["x", "sm1xyz", "0" * 39, "g" * 40, "%00", "sm1" + "q" * 200])
async def test_what_is_no_name_is_malformed(tmp_path: Path, name: str) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        assert await problem(client.look_up(name)) is Problem.MALFORMED


async def test_look_ups_of_one_peer_are_limited(tmp_path: Path) -> None:
    async with world(tmp_path, rates=limited(lookups_per_peer=Rate(1, 1))) as w:
        client = await w.logged_in()
        await client.publish(record_of(client.identity, issued_at=w.now))
        await client.look_up(client.peer)
        assert await problem(client.look_up(client.peer)) is Problem.RATE_LIMITED


async def problem(attempt: Awaitable[object]) -> Problem | None:
    with pytest.raises(Refusal) as refusal:
        await attempt
    return refusal.value.problem
