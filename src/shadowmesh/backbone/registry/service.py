"""The registry: one accepted record a peer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from shadowmesh.backbone.clock import Clock
from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.limits.addresses import ClientAddress
from shadowmesh.backbone.limits.bounded_table import BoundedTable
from shadowmesh.backbone.limits.rates import RateLimiter, Rates
from shadowmesh.backbone.limits.verification import VerificationPool
from shadowmesh.backbone.stores.record_store import PutResult, RecordStore, StoredRecord
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.identity.keys import PublicIdentity
from shadowmesh.identity.names import PeerID
from shadowmesh.records.peer_record import RecordRefused, Refusal, SignedRecord

_LOG = logging.getLogger(__name__)
MAX_HOT_RECORDS = 4096  # of 7.5 KB each: 31 MB
MAX_RECORDS = 1_000_000  # 7.5 GB on disk; a backbone for more than that has outgrown one file
_PROBLEMS = {
    Refusal.WRONG_PEER: Problem.RECORD_FOR_ANOTHER_PEER,
    Refusal.STALE: Problem.RECORD_STALE,
    Refusal.EQUIVOCATION: Problem.RECORD_EQUIVOCATION,
    Refusal.FROM_THE_FUTURE: Problem.RECORD_FROM_THE_FUTURE,
    Refusal.EXPIRED: Problem.RECORD_EXPIRED,
    Refusal.BAD_SIGNATURE: Problem.BAD_SIGNATURE,
}


class Registry:
    """`published` is called with every record that was stored."""

    def __init__(
        self,
        store: RecordStore,
        *,
        pool: VerificationPool,
        published: Callable[[StoredRecord], None],
        rates: Rates,
        clock: Clock,
    ) -> None:
        self._store = store
        self._pool = pool
        self._published = published
        self._clock = clock
        self._hot: BoundedTable[PeerID, StoredRecord] = BoundedTable(MAX_HOT_RECORDS)
        self._publishes_per_peer = RateLimiter(rates.publishes_per_peer, clock)
        self._new_peers_per_network = RateLimiter(rates.new_peers_per_network, clock)
        self._count = 0

    @property
    def size(self) -> int:
        """Records in the store at the last count, and those that came since."""
        return self._count

    async def find(self, peer: PeerID) -> StoredRecord | None:
        """The peer's record unless it has expired."""
        record = self._hot.get(peer)
        if record is None:
            record = await self._store.get(peer)
            if record is not None:
                self._remember(record)
        return None if record is None or record.expires_at <= self._clock() else record

    async def known_key(self, peer: PeerID) -> PublicIdentity | None:
        record = await self.find(peer)
        return None if record is None else record.decode().record.public

    async def publish(self, encoded: bytes, caller: PeerID, address: ClientAddress) -> StoredRecord:
        """Raises DecodeError, Refused."""
        self._publishes_per_peer.take(caller.raw)
        signed = SignedRecord.decode(encoded)
        known = await self._store.get(caller)
        if known is None:
            self._check_room(address)
        with self._pool.place():
            await self._pool.run(partial(self._accept, signed, caller, known))
        record = StoredRecord.of(signed)
        result = await self._store.put_if_newer(record)
        if result is PutResult.STALE:
            raise Refused(Problem.RECORD_STALE)
        if result is PutResult.EQUIVOCATION:
            raise Refused(Problem.RECORD_EQUIVOCATION)
        self._count += known is None
        self._remember(record)
        self._published(record)
        return record

    async def sweep(self) -> None:
        """Deletes what has expired: a pure function of the records, so every backbone node deletes the same."""
        await self._store.delete_expired(self._clock())
        self._count = await self._store.count()

    def _accept(self, signed: SignedRecord, caller: PeerID, known: StoredRecord | None) -> None:
        try:
            signed.accept(caller, now=self._clock(), known=None if known is None else known.decode())
        except RecordRefused as refusal:
            if refusal.reason is Refusal.EQUIVOCATION and known is not None:
                _LOG.warning(
                    "%s equivocates: sequence %d is record %s, and now also %s",
                    caller,
                    known.sequence,
                    known.record_id.hex(),
                    signed.record_id.hex(),
                )
            raise Refused(_PROBLEMS[refusal.reason], str(refusal)) from None

    def _check_room(self, address: ClientAddress) -> None:
        if self._count >= MAX_RECORDS:
            raise Refused(Problem.OVERLOADED, "the registry is full", retry_after_s=3600)
        if not address.unlimited:
            self._new_peers_per_network.take(address.network)

    def _remember(self, record: StoredRecord) -> None:
        hot = self._hot.get(record.peer)
        # A reader that waited for the store must not put an older record over one that was published meanwhile.
        if hot is None or hot.sequence < record.sequence:
            self._hot.put(record.peer, record)
