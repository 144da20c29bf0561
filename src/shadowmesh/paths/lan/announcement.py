"""The datagram that is sent to the group. Spec: docs/spec/lan.md, section 3.

| offset | bytes | field | meaning |
| 0  | 1   | type    | 0x48 |
| 1  | 1   | version | 1 |
| 2  | 2   | port    | UDP, of the announcer's node, at the address that the datagram comes from |
| 4  | 16  | nonce   | new for each announcement |
| 20 | 8·n | tags    | one a trusted peer, filled up with random ones; n is 8, 16, ... 64 |
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

from shadowmesh.paths.lan.pair_secret import NONCE_BYTES, TAG_BYTES
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.first_byte import ControlType

LAN_VERSION = 1
TAG_GROUP = 8  # how many peers a node has is told no finer than this
MAX_TAGS = 64  # 532 bytes; who has more peers announces to some of them at a time
_HEAD = struct.Struct(f"!BBH{NONCE_BYTES}s")
_SIZES = range(_HEAD.size + TAG_GROUP * TAG_BYTES, _HEAD.size + MAX_TAGS * TAG_BYTES + 1, TAG_GROUP * TAG_BYTES)


@dataclass(frozen=True, slots=True)
class Announcement:
    port: int
    nonce: bytes
    tags: tuple[bytes, ...]

    def encode(self) -> bytes:
        return _HEAD.pack(ControlType.LAN_ANNOUNCEMENT, LAN_VERSION, self.port, self.nonce) + b"".join(self.tags)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises DecodeError."""
        if len(data) not in _SIZES:
            raise DecodeError(f"announcement: no size: {len(data)} bytes")
        type_, version, port, nonce = _HEAD.unpack_from(data)
        if type_ != ControlType.LAN_ANNOUNCEMENT or version != LAN_VERSION or port == 0:
            raise DecodeError("announcement: another type or version, or no port")
        tags = (data[offset : offset + TAG_BYTES] for offset in range(_HEAD.size, len(data), TAG_BYTES))
        return cls(port, nonce, tuple(tags))
