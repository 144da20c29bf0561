"""What every record store must do. A store's tests inherit this suite and give a `store` fixture."""

import asyncio

from shadowmesh.backbone.stores.record_store import PutResult, RecordStore, StoredRecord
from shadowmesh.identity.names import PeerID

ALICE, BOB = PeerID(b"a" * 20), PeerID(b"b" * 20)


class RecordStoreContract:
    async def test_a_record_comes_back_as_it_went_in(self, store: RecordStore) -> None:
        record = stored(ALICE, 2**64 - 1)
        assert await store.put_if_newer(record) is PutResult.STORED
        assert await store.get(ALICE) == record
        assert await store.get(BOB) is None

    async def test_an_older_record_does_not_replace_a_newer_one(self, store: RecordStore) -> None:
        await store.put_if_newer(stored(ALICE, 2**63))
        assert await store.put_if_newer(stored(ALICE, 2**63 - 1)) is PutResult.STALE
        assert await store.get(ALICE) == stored(ALICE, 2**63)

    async def test_a_newer_record_replaces_an_older_one(self, store: RecordStore) -> None:
        await store.put_if_newer(stored(ALICE, 255))
        assert await store.put_if_newer(stored(ALICE, 256)) is PutResult.STORED
        assert await store.get(ALICE) == stored(ALICE, 256)
        assert await store.count() == 1

    async def test_the_same_record_again_is_stale(self, store: RecordStore) -> None:
        await store.put_if_newer(stored(ALICE, 1))
        assert await store.put_if_newer(stored(ALICE, 1)) is PutResult.STALE

    async def test_other_bytes_with_the_same_number_are_equivocation(self, store: RecordStore) -> None:
        await store.put_if_newer(stored(ALICE, 1))
        assert await store.put_if_newer(stored(ALICE, 1, content=b"other")) is PutResult.EQUIVOCATION
        assert await store.get(ALICE) == stored(ALICE, 1)

    async def test_of_many_writers_at_once_the_highest_number_stays(self, store: RecordStore) -> None:
        sequences = [3, 9, 1, 7, 9, 2, 8]
        await asyncio.gather(*(store.put_if_newer(stored(ALICE, sequence)) for sequence in sequences))
        assert await store.get(ALICE) == stored(ALICE, 9)

    async def test_expired_records_are_deleted_and_others_stay(self, store: RecordStore) -> None:
        await store.put_if_newer(stored(ALICE, 1, expires_at=1000))
        await store.put_if_newer(stored(BOB, 1, expires_at=1001))
        assert await store.delete_expired(1000.5) == 1
        assert await store.get(ALICE) is None
        assert await store.get(BOB) is not None
        assert await store.count() == 1

    async def test_a_cancelled_call_leaves_the_store_usable(self, store: RecordStore) -> None:
        tasks = [asyncio.ensure_future(store.put_if_newer(stored(ALICE, sequence))) for sequence in range(1, 20)]
        for turns, task in enumerate(tasks):
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await store.put_if_newer(stored(ALICE, 100)) is PutResult.STORED
        assert await store.get(ALICE) == stored(ALICE, 100)


def stored(peer: PeerID, sequence: int, *, content: bytes = b"record", expires_at: int = 5000) -> StoredRecord:
    return StoredRecord(peer, content.ljust(32, b"."), sequence, 10, expires_at, content)
