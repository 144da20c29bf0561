"""Proof of possession: a token alone changes nothing. Spec: docs/spec/backbone.md, section 3.

Header `SM-Proof: <ts>,<counter>,<MAC in base64url without padding>`, MAC = HMAC-SHA-256 under the key K of the log-in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Self

from shadowmesh.wire.errors import DecodeError

PROOF_HEADER = "SM-Proof"
_LABEL = b"shadowmesh/v1/proof"
_MAX_HEADER_BYTES = 128
_HEADER = re.compile(r"([0-9]{1,19}),([0-9]{1,19}),([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Proof:
    """`counter` rises with every request under one K; the server refuses one that does not."""

    issued_at: int  # seconds since 1970 by the client's clock: bound by the MAC, never compared with the server's
    counter: int
    mac: bytes

    @classmethod
    def make(cls, key: bytes, method: str, path: str, body: bytes, *, issued_at: int, counter: int) -> Self:
        """`path`: with its query, as sent."""
        return cls(issued_at, counter, _mac(key, method, path, body, issued_at, counter))

    def proves(self, key: bytes, method: str, path: str, body: bytes) -> bool:
        return hmac.compare_digest(self.mac, _mac(key, method, path, body, self.issued_at, self.counter))

    def header(self) -> str:
        mac = base64.urlsafe_b64encode(self.mac).rstrip(b"=").decode()
        return f"{self.issued_at},{self.counter},{mac}"

    @classmethod
    def parse(cls, header: str) -> Self:
        """Raises DecodeError for any other text than `header` writes."""
        parts = _HEADER.fullmatch(header) if len(header) <= _MAX_HEADER_BYTES else None
        if parts is None:
            raise DecodeError(f"{PROOF_HEADER}: not time, counter and MAC")
        proof = cls(int(parts[1]), int(parts[2]), base64.urlsafe_b64decode(parts[3] + "="))
        if proof.header() != header:
            raise DecodeError(f"{PROOF_HEADER}: leading zeros, or bits left over in the MAC")
        return proof


def _mac(key: bytes, method: str, path: str, body: bytes, issued_at: int, counter: int) -> bytes:
    head = f"{method}\n{path}\n{issued_at}\n{counter}\n".encode()
    return hmac.digest(key, _LABEL + b"\n" + head + hashlib.sha256(body).digest(), "sha256")
