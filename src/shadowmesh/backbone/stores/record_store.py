"""What the registry needs of a store."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from shadowmesh.identity.names import PeerID
from shadowmesh.records.peer_record import SignedRecord


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """An accepted record: its bytes, and what is needed without decoding them."""

    peer: PeerID
    record_id: bytes  # SHA-256 of `encoded`
    sequence: int
    issued_at: int  # seconds since 1970
    expires_at: int
    encoded: bytes = field(repr=False)

    @classmethod
    def of(cls, signed: SignedRecord) -> StoredRecord:
        record = signed.record
        return cls(
            signed.peer_id, signed.record_id, record.sequence, record.issued_at, record.expires_at, signed.encoded
        )

    def decode(self) -> SignedRecord:
        return SignedRecord.decode(self.encoded)


class PutResult(Enum):
    STORED = "stored"
    STALE = "the same record, or one with a higher sequence number, is stored"
    EQUIVOCATION = "another record with this sequence number is stored"


class RecordStore(Protocol):
    """One record a peer. Reads and writes may raise OSError when the store itself is broken."""

    async def get(self, peer: PeerID) -> StoredRecord | None:
        """Also when it has expired."""
        ...

    async def put_if_newer(self, record: StoredRecord) -> PutResult:
        """Atomic: of two writers at once the higher sequence number wins, and the first of two that are equal."""
        ...

    async def delete_expired(self, now: float) -> int:
        """How many were deleted."""
        ...

    async def count(self) -> int: ...
