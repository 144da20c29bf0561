"""One line of the local cache: a fixed 96 bytes. Spec: docs/spec/records.md, section 4."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address

from shadowmesh.identity.names import Fingerprint
from shadowmesh.wire.endpoint import ENDPOINT_BYTES, Endpoint
from shadowmesh.wire.errors import DecodeError

CACHE_ENTRY_BYTES = 96
_LAYOUT = struct.Struct("!32s8s6s18s8sIIHBBBB4s6x")
_NO_ENDPOINT = bytes(ENDPOINT_BYTES)


class PathKind(IntEnum):
    NONE = 0
    DIRECT = 1
    RELAY = 2


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """What it takes to reach a peer again without asking anybody."""

    fingerprint: Fingerprint
    record_id: bytes = bytes(8)  # first 8 bytes of the record's SHA-256; zero when no record is held
    sequence: int = 0  # low 48 bits of the record's sequence number
    endpoint: Endpoint | None = None  # where it was last reached
    home_relay: bytes = bytes(8)  # first 8 bytes of a PeerID; zero when none
    expires_at: int = 0  # of the record, seconds since 1970
    last_ok_at: int = 0  # of the last session, seconds since 1970
    rtt_ms: int = 0  # at most 65,535
    capabilities: int = 0  # low 8 bits; bit 7 says PUBLIC
    region: int = 0
    path_kind: PathKind = PathKind.NONE
    failures: int = 0  # in a row, at most 255
    ipv4: IPv4Address | None = None

    def encode(self) -> bytes:
        """96 bytes; numbers that are too large are written as the largest. Raises ValueError for a misshapen field."""
        if len(self.record_id) != 8 or len(self.home_relay) != 8:
            raise ValueError("the record id and the home relay are 8 bytes each")
        return _LAYOUT.pack(
            self.fingerprint.raw,
            self.record_id,
            (self.sequence & 0xFFFFFFFFFFFF).to_bytes(6, "big"),
            _NO_ENDPOINT if self.endpoint is None else self.endpoint.encode(),
            self.home_relay,
            min(self.expires_at, 0xFFFFFFFF),
            min(self.last_ok_at, 0xFFFFFFFF),
            min(self.rtt_ms, 0xFFFF),
            self.capabilities & 0xFF,
            self.region,
            self.path_kind,
            min(self.failures, 0xFF),
            bytes(4) if self.ipv4 is None else self.ipv4.packed,
        )

    @classmethod
    def decode(cls, data: bytes) -> CacheEntry:
        """Raises DecodeError."""
        if len(data) != CACHE_ENTRY_BYTES:
            raise DecodeError(f"cache entry: {len(data)} bytes, want {CACHE_ENTRY_BYTES}")
        fingerprint, record_id, sequence, endpoint, relay, *numbers, ipv4 = _LAYOUT.unpack(data)
        expires_at, last_ok_at, rtt_ms, capabilities, region, path_kind, failures = numbers
        if path_kind > max(PathKind) or any(data[-6:]):
            raise DecodeError("cache entry: an unknown path kind, or reserved bytes that are not zero")
        return cls(
            Fingerprint(fingerprint),
            record_id,
            int.from_bytes(sequence, "big"),
            None if endpoint == _NO_ENDPOINT else Endpoint.decode(endpoint),
            relay,
            expires_at,
            last_ok_at,
            rtt_ms,
            capabilities,
            region,
            PathKind(path_kind),
            failures,
            None if ipv4 == bytes(4) else IPv4Address(ipv4),
        )
