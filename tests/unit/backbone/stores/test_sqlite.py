"""The embedded store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.backbone.stores.record_store_contract import ALICE, RecordStoreContract, stored

from shadowmesh.backbone.errors import CannotStart
from shadowmesh.backbone.stores.sqlite import SqliteStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(tmp_path / "registry.sqlite")
    yield opened
    await opened.close()


class TestSqlite(RecordStoreContract):
    async def test_records_survive_a_restart(self, tmp_path: Path) -> None:
        first = await SqliteStore.open(tmp_path / "again.sqlite")
        await first.put_if_newer(stored(ALICE, 5))
        await first.deny("jti", 1000)
        await first.close()
        second = await SqliteStore.open(tmp_path / "again.sqlite")
        assert await second.get(ALICE) == stored(ALICE, 5)
        assert await second.denied() == {"jti": 1000}
        await second.close()

    async def test_denials_are_forgotten_when_they_expire(self, store: SqliteStore) -> None:
        await store.deny("early", 1000)
        await store.deny("late", 2000)
        await store.deny("late", 2000)
        await store.forget_expired_denials(1000)
        assert await store.denied() == {"late": 2000}

    async def test_what_is_no_database_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "registry.sqlite").write_bytes(b"not a database, by any means" * 100)
        with pytest.raises(CannotStart, match=r"registry\.sqlite"):
            await SqliteStore.open(tmp_path / "registry.sqlite")
