"""Asking an announcer for its signed record, and its answer. Spec: docs/spec/lan.md, section 4.

Both are sealed with the pair's key:

| offset | bytes | field | meaning |
| 0  | 1  | type     | 0x46 request, 0x47 chunk |
| 1  | 1  | version  | 1 |
| 2  | 2  | reserved | 0 |
| 4  | 8  | tag      | of the announcement that it follows |
| 12 | 12 | iv       | random |
| 24 | n  | sealed   | AES-256-GCM; bytes 0 to 11 are authenticated too |

A request holds the chunk's number and zeros, 400 bytes in all: an answer of 1,200 is no more than three times as large.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shadowmesh.paths.lan.announcement import LAN_VERSION
from shadowmesh.paths.lan.pair_secret import TAG_BYTES, PairSecret
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.first_byte import ControlType

REQUEST_BYTES = 400
MAX_CHUNK_BYTES = 3 * REQUEST_BYTES
MAX_RECORD_BYTES = 8192  # docs/spec/records.md, section 2
RECORD_PREFIX_BYTES = 8
_IV_BYTES, _SEAL_BYTES = 12, 16
_HEAD = struct.Struct(f"!BBH{TAG_BYTES}s")
_OVERHEAD = _HEAD.size + _IV_BYTES + _SEAL_BYTES
_CHUNK_HEAD = struct.Struct(f"!{RECORD_PREFIX_BYTES}sBB")
CHUNK_DATA_BYTES = MAX_CHUNK_BYTES - _OVERHEAD - _CHUNK_HEAD.size
MAX_CHUNKS = -(-MAX_RECORD_BYTES // CHUNK_DATA_BYTES)


@dataclass(frozen=True, slots=True)
class RecordRequest:
    """400 bytes."""

    TYPE: ClassVar[ControlType] = ControlType.LAN_RECORD_REQUEST
    index: int

    def encode(self) -> bytes:
        return bytes([self.index]).ljust(REQUEST_BYTES - _OVERHEAD, b"\0")

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises DecodeError."""
        if len(data) != REQUEST_BYTES - _OVERHEAD or any(data[1:]) or data[0] >= MAX_CHUNKS:
            raise DecodeError("record request: another size, no such chunk, or a filling that is not zero")
        return cls(data[0])


@dataclass(frozen=True, slots=True)
class RecordChunk:
    """At most 1,200 bytes."""

    TYPE: ClassVar[ControlType] = ControlType.LAN_RECORD_CHUNK
    record_prefix: bytes  # of the record's id: chunks of two versions do not mix
    index: int
    count: int
    data: bytes

    def encode(self) -> bytes:
        return _CHUNK_HEAD.pack(self.record_prefix, self.index, self.count) + self.data

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises DecodeError."""
        if not _CHUNK_HEAD.size < len(data) <= MAX_CHUNK_BYTES - _OVERHEAD:
            raise DecodeError(f"record chunk: {len(data)} bytes")
        prefix, index, count = _CHUNK_HEAD.unpack_from(data)
        if not index < count <= MAX_CHUNKS:
            raise DecodeError(f"record chunk: number {index} of {count}")
        return cls(prefix, index, count, data[_CHUNK_HEAD.size :])


def seal(message: RecordRequest | RecordChunk, secret: PairSecret, entropy: Entropy) -> bytes:
    head, iv = _HEAD.pack(message.TYPE, LAN_VERSION, 0, secret.tag), entropy(_IV_BYTES)
    return head + iv + AESGCM(secret.key).encrypt(iv, message.encode(), head)


def tag_in(datagram: bytes) -> bytes:
    """Whose secret opens it. Raises DecodeError."""
    if not _OVERHEAD < len(datagram) <= MAX_CHUNK_BYTES:
        raise DecodeError(f"LAN datagram: {len(datagram)} bytes")
    _, version, reserved, tag = _HEAD.unpack_from(datagram)
    if version != LAN_VERSION or reserved != 0:
        raise DecodeError("LAN datagram: another version, or a reserved field that is not zero")
    return bytes(tag)


def open_sealed(datagram: bytes, secret: PairSecret) -> RecordRequest | RecordChunk:
    """Raises DecodeError, also for what was not sealed with this secret."""
    head, iv = datagram[: _HEAD.size], datagram[_HEAD.size : _HEAD.size + _IV_BYTES]
    kind = next((each for each in (RecordRequest, RecordChunk) if datagram[0] == each.TYPE), None)
    if kind is None:
        raise DecodeError(f"LAN datagram: type {datagram[0]:#x}")
    try:
        return kind.decode(AESGCM(secret.key).decrypt(iv, datagram[_HEAD.size + _IV_BYTES :], head))
    except InvalidTag:
        raise DecodeError("LAN datagram: not sealed with this key") from None


def split(record: bytes, record_prefix: bytes) -> list[RecordChunk]:
    """`record`: at most 8,192 bytes."""
    pieces = [record[offset : offset + CHUNK_DATA_BYTES] for offset in range(0, len(record), CHUNK_DATA_BYTES)]
    return [RecordChunk(record_prefix, index, len(pieces), piece) for index, piece in enumerate(pieces)]
