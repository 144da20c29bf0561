"""Records of numbered identities, for the tests of this folder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.sim.world import WALL_START, identity_number

from shadowmesh.records.peer_record import PeerRecord, SignedRecord


def record_of(number: int, **changes: Any) -> SignedRecord:
    """Valid at WALL_START."""
    identity = identity_number(number)
    plain = PeerRecord(identity.public, 1, int(WALL_START), 86400, number.to_bytes(32, "big"))
    return replace(plain, **changes).sign(identity)


def forged(record: SignedRecord) -> SignedRecord:
    """The same with one bit of the signature changed."""
    encoded = bytearray(record.encoded)
    encoded[-1] ^= 1
    return SignedRecord.decode(bytes(encoded))
