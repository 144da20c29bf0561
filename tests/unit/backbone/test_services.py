"""The composed node."""

from pathlib import Path

import pytest
from tests.unit.backbone.client import UpdatesInProcess, record_of
from tests.unit.backbone.world import world

from shadowmesh.backbone.errors import CannotStart
from shadowmesh.backbone_protocol.updates import SetHints, Subscribe, Update


async def test_a_published_record_reaches_registry_presence_and_subscribers(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        async with UpdatesInProcess(w.transport(), client.upgrade) as updates:
            updates.send(Subscribe([client.peer.raw]))
            updates.send(SetHints([]))
            await client.publish(record_of(client.identity, issued_at=w.now))
            assert isinstance(await updates.receive(), Update)
            assert w.services.registry.size == 1


async def test_a_damaged_file_of_token_keys_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "token_keys.json").write_bytes(b"damaged")
    with pytest.raises(CannotStart, match=r"token_keys\.json"):
        async with world(tmp_path):
            pass


async def test_the_gauges_show_the_node(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        text = w.services.metrics.text().decode()
    for name in ("connections", "verifications", "records", "directory_version", "directory_seconds_left"):
        assert f"\nshadowmesh_{name} " in text
