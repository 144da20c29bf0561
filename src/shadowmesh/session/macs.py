"""mac1 and mac2 of M1's datagrams: what its receiver's engine looks at first. Spec: docs/spec/session.md, section 5.

As WireGuard has them (the paper, section 5.4.4). They cover the header alone, whose message id stands for the content,
so that a datagram costs less to refuse than to send.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from shadowmesh.identity.keys import PublicIdentity
from shadowmesh.session.fragments import HEADER_BYTES, MAC_BYTES

COOKIE_BYTES = 16


@dataclass(frozen=True, slots=True)
class GateKeys:
    """What only those know who know a node's public key. 32 bytes each."""

    mac1: bytes = field(repr=False)
    cookie: bytes = field(repr=False)  # seals cookie replies

    @classmethod
    def of(cls, responder: PublicIdentity) -> GateKeys:
        return cls(*(hashlib.sha256(label + responder.public_key).digest() for label in (b"mac1", b"cookie")))


@dataclass(frozen=True, slots=True)
class MacWriter:
    """For one responder, with the cookie that it gave, or without."""

    mac1_key: bytes = field(repr=False)
    cookie: bytes | None = field(default=None, repr=False)

    def __call__(self, header: bytes) -> bytes:
        """Keyed-BLAKE2s (RFC 7693), 16 bytes under each key. mac2 covers mac1 too, and is zero without a cookie."""
        mac1 = _mac(self.mac1_key, header)
        return mac1 + (bytes(MAC_BYTES) if self.cookie is None else _mac(self.cookie, header + mac1))


def macs_of(datagram: bytes) -> bytes:
    """Of a datagram of M1, 32 bytes."""
    return datagram[HEADER_BYTES : HEADER_BYTES + 2 * MAC_BYTES]


def _mac(key: bytes, covered: bytes) -> bytes:
    return hashlib.blake2s(covered, key=key, digest_size=MAC_BYTES).digest()
