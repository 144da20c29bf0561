"""PeerID and fingerprint: the names that a node's ML-DSA-87 key gives it, and the address they lead to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network
from typing import Self

from shadowmesh.identity import bech32m
from shadowmesh.wire.errors import DecodeError

PEER_ID_BYTES = 20
FINGERPRINT_BYTES = 32
TEXT_PREFIX = "sm"
_SHOWN = 80  # characters of a mistyped name; a fingerprint has 61

_ULA_PREFIX = b"\xfd" + hashlib.sha256(b"shadowmesh/ula/v1").digest()[:5]
OVERLAY_NETWORK = IPv6Network((_ULA_PREFIX + bytes(10), 48))
"""The overlay's ULA /48 (RFC 4193): 0xfd and 40 bits of the SHA-256 of a fixed label."""


@dataclass(frozen=True, slots=True, order=True)
class PeerID:
    """First 20 bytes of the SHA-256 of an ML-DSA-87 public key: a Kademlia key, and enough to find a peer by."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != PEER_ID_BYTES:
            raise DecodeError(f"PeerID: {len(self.raw)} bytes, want {PEER_ID_BYTES}")

    @property
    def overlay_address(self) -> IPv6Address:
        """The overlay /48 followed by the first 80 bits of the PeerID. It names a peer, and proves nothing."""
        return IPv6Address(_ULA_PREFIX + self.raw[:10])

    def __str__(self) -> str:
        return bech32m.encode(TEXT_PREFIX, self.raw)


@dataclass(frozen=True, slots=True, order=True)
class Fingerprint:
    """The whole SHA-256 of an ML-DSA-87 public key: what trust is pinned to."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != FINGERPRINT_BYTES:
            raise DecodeError(f"fingerprint: {len(self.raw)} bytes, want {FINGERPRINT_BYTES}")

    @property
    def peer_id(self) -> PeerID:
        return PeerID(self.raw[:PEER_ID_BYTES])

    @classmethod
    def parse(cls, text: str) -> Self:
        """From its text form. Raises DecodeError, also for a PeerID, which is too short to pin trust to."""
        data = _decode_text(text)
        if len(data) == PEER_ID_BYTES:
            raise DecodeError("this is a PeerID; the longer fingerprint is needed: `shadowmesh id` prints it")
        return cls(data)

    def __str__(self) -> str:
        return bech32m.encode(TEXT_PREFIX, self.raw)


def parse_name(text: str) -> PeerID | Fingerprint:
    """A name as people write it: the two differ in length. Raises DecodeError."""
    data = _decode_text(text)
    return PeerID(data) if len(data) == PEER_ID_BYTES else Fingerprint(data)


def _decode_text(text: str) -> bytes:
    text = text.strip()
    try:
        return bech32m.decode(TEXT_PREFIX, text)
    except DecodeError as error:
        raise DecodeError(f"{text[:_SHOWN]!r} is not a ShadowMesh name: it {error}") from None
