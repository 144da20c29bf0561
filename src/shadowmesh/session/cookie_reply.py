"""The answer to an M1 that comes without a cookie while the responder is under load. Spec: docs/spec/session.md, 6.3.

The engine makes it. As WireGuard's cookie reply: only who knows pkR and has seen the M1 can make one, or read it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shadowmesh.session.drops import Dropped
from shadowmesh.session.events import DropReason
from shadowmesh.session.fragments import SESSION_VERSION
from shadowmesh.session.macs import COOKIE_BYTES, GateKeys
from shadowmesh.session.messages import TAG_BYTES
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.first_byte import ControlType

COOKIE_REPLY_BYTES = 64
_NONCE_BYTES = 12
_HEADER = struct.Struct("!BBH8s8s")
_REPLY = struct.Struct(f"!{_HEADER.size}s{_NONCE_BYTES}s{COOKIE_BYTES + TAG_BYTES}s")


@dataclass(frozen=True, slots=True)
class CookieReply:
    """64 bytes: type 1, version 1, reserved 2, cidI 8, message id of the M1 8, nonce 12, sealed cookie 32."""

    cid: bytes
    message_id: bytes
    nonce: bytes
    sealed: bytes

    def open(self, keys: GateKeys, macs: bytes) -> bytes:
        """The cookie, 16 bytes. `macs`: of the datagram that is answered, the first of M1. Raises Dropped."""
        bound = _header(self.cid, self.message_id) + macs
        try:
            return AESGCM(keys.cookie).decrypt(self.nonce, self.sealed, bound)
        except InvalidTag:
            raise Dropped(DropReason.UNDECRYPTABLE) from None

    def encode(self) -> bytes:
        return _REPLY.pack(_header(self.cid, self.message_id), self.nonce, self.sealed)

    @classmethod
    def decode(cls, datagram: bytes) -> Self:
        """Raises DecodeError."""
        if len(datagram) != COOKIE_REPLY_BYTES:
            raise DecodeError(f"cookie reply: {len(datagram)} bytes, want {COOKIE_REPLY_BYTES}")
        header, nonce, sealed = _REPLY.unpack(datagram)
        type_, version, reserved, cid, message_id = _HEADER.unpack(header)
        if type_ != ControlType.COOKIE or version != SESSION_VERSION or reserved != 0:
            raise DecodeError("cookie reply: another type or version, or a reserved field that is not zero")
        return cls(cid, message_id, nonce, sealed)


def _header(cid: bytes, message_id: bytes) -> bytes:
    return _HEADER.pack(ControlType.COOKIE, SESSION_VERSION, 0, cid, message_id)
