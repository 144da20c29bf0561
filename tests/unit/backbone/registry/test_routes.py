"""The publish route."""

from pathlib import Path

import pytest
from tests.unit.backbone.client import Client, Refusal, record_of
from tests.unit.backbone.world import world

from shadowmesh.backbone_protocol.body import CBOR_MEDIA_TYPE
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.records.peer_record import MAX_RECORD_BYTES, SignedRecord


async def test_a_record_over_8192_bytes_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        assert await problem(client, bytes(MAX_RECORD_BYTES + 1)) is Problem.BODY_TOO_LARGE


async def test_a_record_is_published_as_cose_only(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        encoded = record_of(client.identity, issued_at=w.now).encoded
        with pytest.raises(Refusal) as refusal:
            await client.send_proven("POST", "/v1/records", encoded, CBOR_MEDIA_TYPE)
        assert refusal.value.problem is Problem.UNSUPPORTED_MEDIA_TYPE


async def problem(client: Client, record: SignedRecord | bytes) -> Problem | None:
    with pytest.raises(Refusal) as refusal:
        await client.publish(record)
    return refusal.value.problem
