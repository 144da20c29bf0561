"""What only two nodes that know each other's fingerprint can compute. Spec: docs/spec/lan.md, section 2.

Fingerprints are not secret: who knows both can tell that these two are here. Nothing else rests on it: records are
signed, and the session proves who is there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from shadowmesh.identity.names import Fingerprint

NONCE_BYTES = 16
TAG_BYTES = 8  # two of 1,000 peers and 64 tags agree by chance once in 2^48 announcements


@dataclass(frozen=True, slots=True)
class PairSecret:
    """Of one announcement, from its announcer to one listener."""

    tag: bytes
    key: bytes = field(repr=False)  # AES-256-GCM

    @classmethod
    def derive(cls, announcer: Fingerprint, listener: Fingerprint, nonce: bytes) -> PairSecret:
        return cls(*(_hash(label, announcer, listener, nonce)[:size] for label, size in _PARTS))


_PARTS = ((b"shadowmesh/v1/lan-tag", TAG_BYTES), (b"shadowmesh/v1/lan-key", 32))


def tag_of(announcer: Fingerprint, listener: Fingerprint, nonce: bytes) -> bytes:
    """Half the work: for an announcement that is probably not for us."""
    label, size = _PARTS[0]
    return _hash(label, announcer, listener, nonce)[:size]


def _hash(label: bytes, announcer: Fingerprint, listener: Fingerprint, nonce: bytes) -> bytes:
    return hashlib.sha256(label + announcer.raw + listener.raw + nonce).digest()
