"""Proof of possession: a token alone changes nothing. Spec: docs/spec/backbone.md, section 3.

Header `SM-Proof: <ts>,<counter>,<MAC in base64url without padding>`, MAC = HMAC-SHA-256 under the key K of the log-in.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Self

from shadowmesh.wire.errors import DecodeError

PROOF_HEADER = "SM-Proof"
MAC_BYTES = 32
_LABEL = b"shadowmesh/v1/proof"
_MAX_HEADER_BYTES = 128


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
        """Raises DecodeError."""
        parts = header.split(",") if len(header) <= _MAX_HEADER_BYTES else []
        if len(parts) != 3 or not header.isascii() or not all(part.isdigit() and len(part) < 20 for part in parts[:2]):
            raise DecodeError(f"{PROOF_HEADER}: not time, counter and MAC")
        try:
            mac = base64.b64decode(parts[2] + "=", altchars=b"-_", validate=True)
        except binascii.Error:
            raise DecodeError(f"{PROOF_HEADER}: the MAC is not base64url") from None
        if len(mac) != MAC_BYTES:
            raise DecodeError(f"{PROOF_HEADER}: a MAC of {len(mac)} bytes, want {MAC_BYTES}")
        return cls(int(parts[0]), int(parts[1]), mac)


def _mac(key: bytes, method: str, path: str, body: bytes, issued_at: int, counter: int) -> bytes:
    head = f"{method}\n{path}\n{issued_at}\n{counter}\n".encode()
    return hmac.digest(key, _LABEL + b"\n" + head + hashlib.sha256(body).digest(), "sha256")
