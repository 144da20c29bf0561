"""The embedded store: one SQLite file, nothing to install."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, Text, delete, event, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shadowmesh.backbone.errors import CannotStart
from shadowmesh.backbone.stores.record_store import PutResult, StoredRecord
from shadowmesh.identity.names import PeerID

_METADATA = MetaData()
_RECORDS = Table(
    "records",
    _METADATA,
    Column("peer_id", LargeBinary(20), primary_key=True),
    Column("record_id", LargeBinary(32), nullable=False),
    # Big-endian: SQLite's integers end at 2^63, and blobs of one length are ordered as the numbers are.
    Column("sequence", LargeBinary(8), nullable=False),
    Column("issued_at", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False, index=True),
    Column("record", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
_DENIED_TOKENS = Table(
    "denied_tokens",
    _METADATA,
    Column("token_id", Text, primary_key=True),
    Column("expires_at", Integer, nullable=False),
)


class SqliteStore:
    """Records and denied tokens. One connection: SQLite before 3.51.3 can lose data in WAL mode with two of them."""

    def __init__(self, engine: AsyncEngine, connection: AsyncConnection) -> None:
        self._engine = engine
        self._connection = connection
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path) -> SqliteStore:
        """Raises CannotStart."""
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
        event.listen(engine.sync_engine, "connect", _configure)
        try:
            connection = await engine.connect()
            try:
                await connection.run_sync(_METADATA.create_all)
                await connection.commit()
            except BaseException:
                await connection.close()
                raise
        except (DBAPIError, OSError) as error:
            await engine.dispose()
            reason = error.orig if isinstance(error, DBAPIError) else error
            raise CannotStart(f"{path}: cannot be opened as the backbone's database ({reason})") from None
        return cls(engine, connection)

    async def close(self) -> None:
        async with self._turn:
            await self._connection.close()
            await self._engine.dispose()

    async def get(self, peer: PeerID) -> StoredRecord | None:
        async with self._transaction() as connection:
            row = (await connection.execute(select(_RECORDS).where(_RECORDS.c.peer_id == peer.raw))).one_or_none()
        if row is None:
            return None
        sequence = int.from_bytes(row.sequence, "big")
        return StoredRecord(peer, row.record_id, sequence, row.issued_at, row.expires_at, row.record)

    async def put_if_newer(self, record: StoredRecord) -> PutResult:
        values = {
            "record_id": record.record_id,
            "sequence": record.sequence.to_bytes(8, "big"),
            "issued_at": record.issued_at,
            "expires_at": record.expires_at,
            "record": record.encoded,
        }
        statement = insert(_RECORDS).values(peer_id=record.peer.raw, **values)
        statement = statement.on_conflict_do_update(
            index_elements=["peer_id"], set_=values, where=_RECORDS.c.sequence < values["sequence"]
        )
        async with self._transaction() as connection:
            if (await connection.execute(statement)).rowcount > 0:
                return PutResult.STORED
            stored = select(_RECORDS.c.sequence, _RECORDS.c.record_id).where(_RECORDS.c.peer_id == record.peer.raw)
            sequence, record_id = (await connection.execute(stored)).one()
        equivocates = sequence == values["sequence"] and record_id != record.record_id
        return PutResult.EQUIVOCATION if equivocates else PutResult.STALE

    async def delete_expired(self, now: float) -> int:
        async with self._transaction() as connection:
            return (await connection.execute(delete(_RECORDS).where(_RECORDS.c.expires_at <= now))).rowcount

    async def count(self) -> int:
        async with self._transaction() as connection:
            return int((await connection.execute(select(func.count()).select_from(_RECORDS))).scalar_one())

    async def deny(self, token_id: str, expires_at: int) -> None:
        statement = insert(_DENIED_TOKENS).values(token_id=token_id, expires_at=expires_at)
        async with self._transaction() as connection:
            await connection.execute(statement.on_conflict_do_nothing())

    async def denied(self) -> dict[str, int]:
        async with self._transaction() as connection:
            return {row.token_id: row.expires_at for row in await connection.execute(select(_DENIED_TOKENS))}

    async def forget_expired_denials(self, now: float) -> None:
        async with self._transaction() as connection:
            await connection.execute(delete(_DENIED_TOKENS).where(_DENIED_TOKENS.c.expires_at <= now))

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        async with self._turn:
            # Finished even when the request that began it is cancelled: a connection of one must not stay
            # in somebody's half transaction.
            try:
                yield self._connection
            except BaseException:
                await asyncio.shield(self._connection.rollback())
                raise
            await asyncio.shield(self._connection.commit())


def sqlite_version() -> str:
    return sqlite3.sqlite_version


def _configure(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # A record whose publisher was told that it is stored survives a power cut.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()
