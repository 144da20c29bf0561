"""The four messages and what is sealed inside them: fixed layouts. Spec: docs/spec/session.md, section 4.

M1 is open; of M2 the head is open and the rest sealed; M3 is sealed but for one byte; M4 is sealed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import ClassVar, Self

from shadowmesh.identity.keys import SIGNATURE_BYTES
from shadowmesh.identity.names import PEER_ID_BYTES, PeerID
from shadowmesh.records.peer_record import MAX_RECORD_BYTES, SignedRecord
from shadowmesh.session.fragments import CID_BYTES
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.reader import Reader

NONCE_BYTES = 32
ENCAPSULATION_KEY_BYTES = 1568  # ML-KEM-1024, FIPS 203 §8
CIPHERTEXT_BYTES = 1568
WIREGUARD_KEY_BYTES = 32
FINISHED_BYTES = 32
TAG_BYTES = 16  # AES-256-GCM

M1_BYTES = 2352  # two full datagrams: three times their size is more than M2
_M1_PADDING_BYTES = M1_BYTES - CID_BYTES - NONCE_BYTES - ENCAPSULATION_KEY_BYTES - 2

_CLAIM = struct.Struct("!8sQ32sH")
_FINISHED = struct.Struct("!32sI")


@dataclass(frozen=True, slots=True)
class Message1:
    """Initiator to responder, 2,352 bytes, the start of the transcript."""

    NUMBER: ClassVar[int] = 1
    cid: bytes  # 8 bytes, the initiator's
    nonce: bytes  # 32 bytes
    encapsulation_key: bytes = field(repr=False)  # 1,568 bytes
    suite: int

    def encode(self) -> bytes:
        suite = self.suite.to_bytes(2, "big")
        return self.cid + self.nonce + self.encapsulation_key + suite + bytes(_M1_PADDING_BYTES)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises DecodeError. Any suite is of legal form."""
        reader = Reader(data, "M1")
        cid, nonce = reader.take(CID_BYTES), reader.take(NONCE_BYTES)
        key, suite = reader.take(ENCAPSULATION_KEY_BYTES), reader.uint(2)
        if any(reader.take(_M1_PADDING_BYTES)):
            raise DecodeError("M1: padding that is not zero")
        reader.finish()
        return cls(cid, nonce, key, suite)


@dataclass(frozen=True, slots=True)
class Message2Head:
    """The open part of M2, 1,608 bytes."""

    cid: bytes  # 8 bytes, the responder's
    nonce: bytes  # 32 bytes
    ciphertext: bytes = field(repr=False)  # 1,568 bytes

    def encode(self) -> bytes:
        return self.cid + self.nonce + self.ciphertext

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises DecodeError."""
        reader = Reader(data, "M2 head")
        head = cls(reader.take(CID_BYTES), reader.take(NONCE_BYTES), reader.take(CIPHERTEXT_BYTES))
        reader.finish()
        return head


M2_HEAD_BYTES = CID_BYTES + NONCE_BYTES + CIPHERTEXT_BYTES


@dataclass(frozen=True, slots=True)
class Claim:
    """What a side says of itself, and signs: its current record, its WireGuard key, what it can. 50 bytes."""

    record_id: bytes  # first 8 bytes of the record's SHA-256
    sequence: int
    wireguard_key: bytes  # 32 bytes
    capabilities: int  # bits of the record

    @classmethod
    def of(cls, record: SignedRecord) -> Self:
        payload = record.record
        return cls(record.record_id[:8], payload.sequence, payload.wireguard_key, payload.capabilities)

    def encode(self) -> bytes:
        return _CLAIM.pack(self.record_id, self.sequence, self.wireguard_key, self.capabilities)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises DecodeError."""
        if len(data) != _CLAIM.size:
            raise DecodeError(f"claim: {len(data)} bytes, want {_CLAIM.size}")
        return cls(*_CLAIM.unpack(data))


@dataclass(frozen=True, slots=True)
class ResponderProof:
    """Sealed in M2, 4,677 bytes."""

    claim: Claim
    signature: bytes = field(repr=False)  # 4,627 bytes

    def encode(self) -> bytes:
        return self.claim.encode() + self.signature

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises DecodeError."""
        reader = Reader(data, "responder's proof")
        proof = cls(Claim.decode(reader.take(_CLAIM.size)), reader.take(SIGNATURE_BYTES))
        reader.finish()
        return proof


M2_BYTES = M2_HEAD_BYTES + _CLAIM.size + SIGNATURE_BYTES + TAG_BYTES


@dataclass(frozen=True, slots=True)
class InitiatorProof:
    """Sealed in M3: 4,697 bytes, and the initiator's record behind them when the responder may lack it."""

    peer: PeerID
    claim: Claim
    signature: bytes = field(repr=False)  # 4,627 bytes
    record: bytes = field(default=b"", repr=False)  # at most 8,192 bytes

    @property
    def core(self) -> bytes:
        """Without the record. It alone enters the transcript, so both forms of M3 lead to the same keys."""
        return self.peer.raw + self.claim.encode() + self.signature

    def encode(self) -> bytes:
        return self.core + self.record

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises DecodeError."""
        reader = Reader(data, "initiator's proof")
        peer, claim = PeerID(reader.take(PEER_ID_BYTES)), Claim.decode(reader.take(_CLAIM.size))
        return cls(peer, claim, reader.take(SIGNATURE_BYTES), reader.rest())


M3_BYTES = 1 + PEER_ID_BYTES + _CLAIM.size + SIGNATURE_BYTES + TAG_BYTES
WITHOUT_RECORD, WITH_RECORD = 0, 1
"""The first byte of M3, its form. Each form is sealed under a key of its own."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Sealed in M4, 36 bytes."""

    mac: bytes  # 32 bytes
    psk_epoch: int  # 0: the ratchet counts from here

    def encode(self) -> bytes:
        return _FINISHED.pack(self.mac, self.psk_epoch)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises DecodeError."""
        if len(data) != _FINISHED.size:
            raise DecodeError(f"finished: {len(data)} bytes, want {_FINISHED.size}")
        return cls(*_FINISHED.unpack(data))


M4_BYTES = _FINISHED.size + TAG_BYTES

_LENGTHS = {
    1: range(M1_BYTES, M1_BYTES + 1),
    2: range(M2_BYTES, M2_BYTES + 1),
    3: range(M3_BYTES, M3_BYTES + MAX_RECORD_BYTES + 1),
    4: range(M4_BYTES, M4_BYTES + 1),
}


def check_length(message_number: int, length: int) -> None:
    """Before a byte is kept. Raises DecodeError."""
    if length not in _LENGTHS.get(message_number, ()):
        raise DecodeError(f"M{message_number}: {length} bytes")


def split_message3(message: bytes) -> tuple[int, bytes]:
    """Form and sealed part. Raises DecodeError for another form, and for a length that is not the form's."""
    form = message[0] if message else -1
    if form not in (WITHOUT_RECORD, WITH_RECORD) or (form == WITHOUT_RECORD) != (len(message) == M3_BYTES):
        raise DecodeError("M3: no such form, or not of its length")
    return form, message[1:]
