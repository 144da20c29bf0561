"""The four messages of a PSK ratchet, and the keys behind them. Spec: docs/spec/session.md, section 11.

They travel as the handshake's messages do, in fragments; each is sealed under a key of its own.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shadowmesh.session.drops import Dropped
from shadowmesh.session.events import DropReason
from shadowmesh.session.fragments import CID_BYTES
from shadowmesh.session.messages import CIPHERTEXT_BYTES, ENCAPSULATION_KEY_BYTES, TAG_BYTES
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.first_byte import ControlType

PSK_BYTES = 32
_NONCE = bytes(12)  # each key seals one plaintext
_EPOCH = struct.Struct("!I")
_BOUND = struct.Struct(f"!B{CID_BYTES}sI")


class RatchetStep(IntEnum):
    """The message number in the fragments. Odd ones go from the initiator of the session, even ones to it."""

    OFFER = 5  # an encapsulation key, under PSK n
    ANSWER = 6  # a ciphertext to it, under PSK n
    CONFIRM = 7  # nothing, under PSK n + 1
    DONE = 8  # nothing, under PSK n + 1


_BODY_BYTES = {
    RatchetStep.OFFER: ENCAPSULATION_KEY_BYTES,
    RatchetStep.ANSWER: CIPHERTEXT_BYTES,
    RatchetStep.CONFIRM: 0,
    RatchetStep.DONE: 0,
}


@dataclass(frozen=True, slots=True)
class RatchetMessage:
    """epoch 4 | sealed body and tag: 1,588 bytes for OFFER and ANSWER, 20 for CONFIRM and DONE."""

    step: RatchetStep
    epoch: int  # of the PSK that it is sealed under
    sealed: bytes = field(repr=False)

    @classmethod
    def seal(cls, step: RatchetStep, epoch: int, psk: bytes, cid: bytes, body: bytes = b"") -> Self:
        sealed = AESGCM(_message_key(psk, step, epoch)).encrypt(_NONCE, body, _BOUND.pack(step, cid, epoch))
        return cls(step, epoch, sealed)

    def open(self, psk: bytes, cid: bytes) -> bytes:
        """Raises Dropped."""
        bound = _BOUND.pack(self.step, cid, self.epoch)
        try:
            return AESGCM(_message_key(psk, self.step, self.epoch)).decrypt(_NONCE, self.sealed, bound)
        except InvalidTag:
            raise Dropped(DropReason.UNDECRYPTABLE) from None

    def encode(self) -> bytes:
        return _EPOCH.pack(self.epoch) + self.sealed

    @classmethod
    def decode(cls, step: RatchetStep, data: bytes) -> Self:
        """Raises DecodeError."""
        check_ratchet_length(step, len(data))
        (epoch,) = _EPOCH.unpack_from(data)
        return cls(step, epoch, data[_EPOCH.size :])


def check_ratchet_length(step: RatchetStep, length: int) -> None:
    """Before a byte is kept. Raises DecodeError."""
    if length != _EPOCH.size + _BODY_BYTES[step] + TAG_BYTES:
        raise DecodeError(f"ratchet {step.name}: {length} bytes")


def is_ratchet_datagram(data: bytes) -> bool:
    """Whether a datagram of the type SESSION is a ratchet's and not the handshake's."""
    return len(data) > 2 and data[0] == ControlType.SESSION and RatchetStep.OFFER <= data[2] <= RatchetStep.DONE


def ratchet_cid(psk: bytes) -> bytes:
    """8 bytes that name a session in its ratchet's fragments; from PSK 0."""
    return _derive(psk, b"", b"shadowmesh/v1/ratchet/cid")[:CID_BYTES]


def next_psk(psk: bytes, shared_secret: bytes, epoch: int, encapsulation_key: bytes, ciphertext: bytes) -> bytes:
    """PSK n + 1, `epoch` being n + 1: from PSK n and from a fresh secret, so either of them alone gives nothing."""
    exchange = hashlib.sha256(encapsulation_key + ciphertext).digest()
    return _derive(psk + shared_secret, exchange, b"shadowmesh/v1/psk/ratchet" + _EPOCH.pack(epoch))


def _message_key(psk: bytes, step: RatchetStep, epoch: int) -> bytes:
    return _derive(psk, b"", b"shadowmesh/v1/ratchet/" + step.name.lower().encode() + _EPOCH.pack(epoch))


def _derive(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), length=PSK_BYTES, salt=salt or None, info=info).derive(secret)
