"""Messages of handshake and ratchet cut into datagrams, and requests for fragments that were lost.

Spec: docs/spec/session.md, section 2. The header of both, 24 bytes:

    type 1 | version 1 | message 1 | index 4 bits, total - 1 4 bits | cid 8 | message id 8 | length 2 | reserved 2

In the datagrams of M1, which come from anybody, mac1 and mac2 of 16 bytes each follow.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from shadowmesh.session.limits import AMPLIFICATION, MAX_FRAGMENTS, MAX_MESSAGE_BYTES
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.first_byte import ControlType
from shadowmesh.wire.transmit import MAX_DATAGRAM_BYTES

SESSION_VERSION = 1
HEADER_BYTES = 24
MAC_BYTES = 16
MAX_MESSAGE_NUMBER = 8
CID_BYTES = 8
MESSAGE_ID_BYTES = 8

Macs = Callable[[bytes], bytes]
"""mac1 and mac2 for a header, 32 bytes together."""


_HEADER = struct.Struct("!BBBB8s8sHH")
_BITMAP = struct.Struct("!H")
_FIRST = bytes([ControlType.SESSION, SESSION_VERSION, 1])


@dataclass(frozen=True, slots=True)
class Flight:
    """Which message a fragment belongs to."""

    message: int  # 1 to 4: handshake; 5 to 8: ratchet
    cid: bytes  # 8 bytes; in M1 the sender's, later the receiver's
    message_id: bytes  # 8 bytes
    length: int  # of the whole message

    @property
    def head_bytes(self) -> int:
        """What stands before a fragment's part of the message."""
        return HEADER_BYTES + 2 * MAC_BYTES if self.message == 1 else HEADER_BYTES

    @property
    def fragment_bytes(self) -> int:
        """1,208, or 1,176 in M1: of the message in every fragment but the last."""
        return MAX_DATAGRAM_BYTES - self.head_bytes

    @property
    def total(self) -> int:
        return -(-self.length // self.fragment_bytes)

    @property
    def wire_bytes(self) -> int:
        """UDP payload of all its datagrams."""
        return self.length + self.total * self.head_bytes

    def datagram_bytes(self, index: int) -> int:
        return self.head_bytes + min(self.fragment_bytes, self.length - index * self.fragment_bytes)


@dataclass(frozen=True, slots=True)
class Fragment:
    """One datagram of a message. The MACs of M1 are the engine's to check, and none of the message."""

    flight: Flight
    index: int
    payload: bytes
    macs: bytes = b""  # 32 bytes in M1

    def encode(self) -> bytes:
        return _encode_header(ControlType.SESSION, self.flight, self.index) + self.macs + self.payload

    @classmethod
    def decode(cls, datagram: bytes) -> Self:
        """Raises DecodeError."""
        flight, index = _decode_header(ControlType.SESSION, datagram)
        if len(datagram) != flight.datagram_bytes(index):
            raise DecodeError(f"fragment: {len(datagram)} bytes, want {flight.datagram_bytes(index)}")
        return cls(flight, index, datagram[flight.head_bytes :], datagram[HEADER_BYTES : flight.head_bytes])


@dataclass(frozen=True, slots=True)
class MissingRequest:
    """Asks for fragments again. Its header repeats theirs, with index 0 and always the initiator's cid.

    Who lacks the first fragment of M2 doesn't know the responder's.
    """

    flight: Flight
    missing: tuple[int, ...]  # indexes, rising, at least one

    def encode(self, *, padded: bool) -> bytes:
        """26 bytes; padded to a third of what it asks for, one datagram at most, when the answerer has to count."""
        datagram = _encode_header(ControlType.SESSION_MISSING, self.flight, 0)
        datagram += _BITMAP.pack(sum(1 << index for index in self.missing))
        if not padded:
            return datagram
        asked = sum(self.flight.datagram_bytes(index) for index in self.missing)
        return datagram.ljust(min(MAX_DATAGRAM_BYTES, -(-asked // AMPLIFICATION)), b"\0")

    def asks_for(self, flight: Flight) -> bool:
        """Whether the message is this one, whatever the cid."""
        return replace(self.flight, cid=flight.cid) == flight

    @classmethod
    def decode(cls, datagram: bytes) -> Self:
        """Raises DecodeError."""
        flight, index = _decode_header(ControlType.SESSION_MISSING, datagram)
        if index != 0 or len(datagram) < HEADER_BYTES + _BITMAP.size or len(datagram) > MAX_DATAGRAM_BYTES:
            raise DecodeError("missing-request: an index, or a wrong length")
        (bitmap,) = _BITMAP.unpack_from(datagram, HEADER_BYTES)
        if bitmap == 0 or bitmap >> flight.total:
            raise DecodeError("missing-request: asks for nothing, or for fragments that are not there")
        if any(datagram[HEADER_BYTES + _BITMAP.size :]):
            raise DecodeError("missing-request: padding that is not zero")
        return cls(flight, tuple(index for index in range(flight.total) if bitmap >> index & 1))


@dataclass(frozen=True, slots=True)
class CutMessage:
    """A message ready to be sent, as often as need be: a retransmission has the same bytes."""

    flight: Flight
    datagrams: tuple[bytes, ...]

    def pick(self, indexes: Sequence[int]) -> list[bytes]:
        return [self.datagrams[index] for index in indexes]


def cut(message_number: int, cid: bytes, message: bytes, macs: Macs | None = None) -> CutMessage:
    """`macs`: of M1, and of no other message. Without them they are zero, and no engine lets it in."""
    flight = Flight(message_number, cid, message_id(message_number, message), len(message))
    return CutMessage(flight, tuple(_datagram(flight, index, message, macs) for index in range(flight.total)))


def _datagram(flight: Flight, index: int, message: bytes, macs: Macs | None) -> bytes:
    header = _encode_header(ControlType.SESSION, flight, index)
    head = header.ljust(flight.head_bytes, b"\0") if macs is None else header + macs(header)
    return head + message[index * flight.fragment_bytes : (index + 1) * flight.fragment_bytes]


def begins_handshake(datagram: bytes) -> bool:
    """Whether it is of M1, by its looks."""
    return datagram.startswith(_FIRST)


def message_id(message_number: int, message: bytes) -> bytes:
    """A hash of the content: who reassembles can tell the genuine fragments from forged ones."""
    return hashlib.sha256(bytes([message_number]) + message).digest()[:MESSAGE_ID_BYTES]


def _encode_header(kind: ControlType, flight: Flight, index: int) -> bytes:
    position = index << 4 | (flight.total - 1)
    return _HEADER.pack(
        kind, SESSION_VERSION, flight.message, position, flight.cid, flight.message_id, flight.length, 0
    )


def _decode_header(kind: ControlType, datagram: bytes) -> tuple[Flight, int]:
    if len(datagram) < HEADER_BYTES:
        raise DecodeError(f"session header: {len(datagram)} bytes, want {HEADER_BYTES}")
    type_, version, message, position, cid, id_, length, reserved = _HEADER.unpack_from(datagram)
    if type_ != kind or version != SESSION_VERSION or reserved != 0:
        raise DecodeError("session header: another type or version, or a reserved field that is not zero")
    if not 1 <= message <= MAX_MESSAGE_NUMBER or not 0 < length <= MAX_MESSAGE_BYTES:
        raise DecodeError("session header: no such message, or a length out of bounds")
    flight = Flight(message, cid, id_, length)
    index, total = position >> 4, (position & 15) + 1
    if total != flight.total or total > MAX_FRAGMENTS or index >= total:
        raise DecodeError("session header: index, total and length do not fit")
    return flight, index
