"""What may be published, and what each refusal is called."""

import asyncio
import logging
from pathlib import Path

import pytest
from tests.unit.backbone.client import Client, Refusal, record_of
from tests.unit.backbone.world import limited, world

from shadowmesh.backbone.limits.rates import Rate
from shadowmesh.backbone_protocol.body import decode_cbor
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.queries import PublishReply
from shadowmesh.records.peer_record import REVOKED_SEQUENCE, SignedRecord, revocation


async def test_a_published_record_is_found_byte_for_byte(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        record = record_of(client.identity, issued_at=w.now)
        answer = await client.publish(record)
        assert decode_cbor(answer.body, PublishReply).record_id == record.record_id
        found = await client.look_up(client.peer)
        assert (found.record, found.record_id) == (record.encoded, record.record_id)


async def test_a_record_survives_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        record = record_of(client.identity, issued_at=w.now)
        await client.publish(record)
    async with world(tmp_path) as w:
        client.transport = w.transport()
        assert (await client.look_up(client.peer)).record == record.encoded


async def test_a_newer_record_takes_the_place_of_the_older(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        await client.publish(record_of(client.identity, sequence=1, issued_at=w.now))
        newer = record_of(client.identity, sequence=2, issued_at=w.now)
        await client.publish(newer)
        assert (await client.look_up(client.peer)).record_id == newer.record_id


async def test_an_older_sequence_number_is_stale(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        await client.publish(record_of(client.identity, sequence=2, issued_at=w.now))
        older = record_of(client.identity, sequence=1, issued_at=w.now)
        assert await problem(client, older) is Problem.RECORD_STALE


async def test_the_first_of_two_records_with_one_number_stays_and_both_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        first = record_of(client.identity, issued_at=w.now)
        second = record_of(client.identity, issued_at=w.now, region=9)
        await client.publish(first)
        with caplog.at_level(logging.WARNING):
            assert await problem(client, second) is Problem.RECORD_EQUIVOCATION
        assert first.record_id.hex() in caplog.text
        assert second.record_id.hex() in caplog.text
        assert (await client.look_up(client.peer)).record_id == first.record_id


async def test_of_two_writers_at_once_the_first_stays(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        records = [record_of(client.identity, issued_at=w.now, region=region) for region in range(8)]
        answers = await asyncio.gather(*map(client.publish, records), return_exceptions=True)
        problems = [answer.problem for answer in answers if isinstance(answer, Refusal)]
        assert problems == [Problem.RECORD_EQUIVOCATION] * 7


async def test_a_record_of_another_peer_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client, other = await w.logged_in(), w.client()
        assert await problem(client, record_of(other.identity, issued_at=w.now)) is Problem.RECORD_FOR_ANOTHER_PEER


async def test_a_record_from_the_future_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        assert (
            await problem(client, record_of(client.identity, issued_at=w.now + 301)) is Problem.RECORD_FROM_THE_FUTURE
        )
        await client.publish(record_of(client.identity, issued_at=w.now + 300))


async def test_an_expired_record_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        record = record_of(client.identity, issued_at=w.now - 3600, ttl_s=3600)
        assert await problem(client, record) is Problem.RECORD_EXPIRED


async def test_a_changed_record_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        encoded = bytearray(record_of(client.identity, issued_at=w.now).encoded)
        encoded[-1] ^= 1
        assert await problem(client, bytes(encoded)) is Problem.BAD_SIGNATURE


async def test_bytes_that_are_no_record_are_malformed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        assert await problem(client, b"\xff") is Problem.MALFORMED
        assert await problem(client, b"") is Problem.MALFORMED


async def test_a_record_that_is_not_canonical_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        encoded = record_of(client.identity, issued_at=w.now).encoded
        longer = encoded[:1] + b"\x58" + bytes([encoded[1] & 31]) + encoded[2:]
        assert await problem(client, longer) is Problem.NOT_CANONICAL


async def test_nothing_comes_after_a_revocation(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        record = record_of(client.identity, issued_at=w.now).record
        await client.publish(revocation(record, now=w.now).sign(client.identity))
        late = record_of(client.identity, sequence=REVOKED_SEQUENCE - 1, issued_at=w.now)
        assert await problem(client, late) is Problem.RECORD_STALE


async def test_a_record_is_gone_when_it_expires_and_its_row_with_the_next_sweep(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        await client.publish(record_of(client.identity, issued_at=w.now, ttl_s=60))
        w.clock.advance(60)
        with pytest.raises(Refusal) as refusal:
            await client.look_up(client.peer)
        assert refusal.value.problem is Problem.PEER_UNKNOWN
        assert await w.services.store.count() == 1
        await w.services.sweep()
        assert await w.services.store.count() == 0


async def test_one_peers_publishing_is_limited(tmp_path: Path) -> None:
    async with world(tmp_path, rates=limited(publishes_per_peer=Rate(1, 1))) as w:
        client = await w.logged_in()
        await client.publish(record_of(client.identity, sequence=1, issued_at=w.now))
        assert await problem(client, record_of(client.identity, sequence=2, issued_at=w.now)) is Problem.RATE_LIMITED


async def test_new_peers_of_one_network_are_limited_and_known_ones_are_not(tmp_path: Path) -> None:
    async with world(tmp_path, rates=limited(new_peers_per_network=Rate(10 / 3600, 1))) as w:
        first, second = await w.logged_in(address="192.0.2.1"), await w.logged_in(address="192.0.2.2")
        await first.publish(record_of(first.identity, sequence=1, issued_at=w.now))
        assert await problem(second, record_of(second.identity, issued_at=w.now)) is Problem.RATE_LIMITED
        await first.publish(record_of(first.identity, sequence=2, issued_at=w.now))


async def problem(client: Client, record: SignedRecord | bytes) -> Problem | None:
    with pytest.raises(Refusal) as refusal:
        await client.publish(record)
    return refusal.value.problem
