"""STUN Binding (RFC 8489), both sides: what a node needs to learn its address and how its NAT filters, and no more.

Encoded are Binding requests, also those that ask for an answer from another port (RFC 5780), and success responses.
MESSAGE-INTEGRITY and the rest of the attributes are skipped, not checked: an answer is believed for its 96-bit
transaction id, and the worst a false one can do is a failed probe.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address

from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.first_byte import STUN_MAGIC_COOKIE

TRANSACTION_ID_BYTES = 12
HEADER_BYTES = 20
MAX_MESSAGE_BYTES = 548  # RFC 8489 §6.1: what passes an IPv4 path of unknown MTU
_HEADER = struct.Struct("!HH4s12s")
_ATTRIBUTE = struct.Struct("!HH")
_CHANGE_REQUEST = 0x0003  # RFC 5780 §7.2
_CHANGE_PORT = b"\0\0\0\x02"
_XOR_MAPPED_ADDRESS = 0x0020
_FINGERPRINT = 0x8028
_FINGERPRINT_MASK = 0x5354554E  # RFC 8489 §14.7
_FINGERPRINT_BYTES = 8  # with its attribute header
_FAMILIES = {4: 0x01, 6: 0x02}


class StunKind(IntEnum):
    """The message types of the Binding method (RFC 8489 §5)."""

    REQUEST = 0x0001
    INDICATION = 0x0011
    SUCCESS = 0x0101
    ERROR = 0x0111


@dataclass(frozen=True, slots=True)
class StunMessage:
    kind: StunKind
    transaction_id: bytes  # 12 bytes
    mapped: Endpoint | None = None  # XOR-MAPPED-ADDRESS
    fingerprint: bool = False  # whether it had one, which was right
    change_port: bool = False  # CHANGE-REQUEST: answer from another port of the same address


def encode_binding_request(transaction_id: bytes, *, fingerprint: bool = False, change_port: bool = False) -> bytes:
    """20 bytes, 8 more with each option. Raises ValueError for a transaction id of another length than 12 bytes."""
    attributes = _ATTRIBUTE.pack(_CHANGE_REQUEST, len(_CHANGE_PORT)) + _CHANGE_PORT if change_port else b""
    return _encode(StunKind.REQUEST, transaction_id, attributes, fingerprint=fingerprint)


def encode_binding_success(transaction_id: bytes, mapped: Endpoint, *, fingerprint: bool = False) -> bytes:
    """32 bytes for an IPv4 address, 44 for IPv6; 8 more with a fingerprint."""
    family = _FAMILIES[mapped.address.version]
    packed = bytes([0, family]) + mapped.port.to_bytes(2, "big") + mapped.address.packed
    value = _xor_address(packed, transaction_id)
    attribute = _ATTRIBUTE.pack(_XOR_MAPPED_ADDRESS, len(value)) + value
    return _encode(StunKind.SUCCESS, transaction_id, attribute, fingerprint=fingerprint)


def decode(data: bytes) -> StunMessage:
    """Raises DecodeError for what is not a Binding message, and for a fingerprint that does not fit."""
    if not HEADER_BYTES <= len(data) <= MAX_MESSAGE_BYTES:
        raise DecodeError(f"STUN: {len(data)} bytes, {HEADER_BYTES} to {MAX_MESSAGE_BYTES} allowed")
    kind, length, cookie, transaction_id = _HEADER.unpack_from(data)
    if cookie != STUN_MAGIC_COOKIE or kind not in StunKind._value2member_map_:
        raise DecodeError("STUN: not a Binding message")
    if length != len(data) - HEADER_BYTES or length % 4:
        raise DecodeError("STUN: the length does not fit")
    mapped = None
    fingerprint = change_port = False
    for offset, attribute, value in _attributes(data):
        if fingerprint:
            raise DecodeError("STUN: an attribute after the fingerprint")  # RFC 8489 §14.7
        if attribute == _XOR_MAPPED_ADDRESS and mapped is None:  # RFC 8489 §14: only the first counts
            mapped = _decode_address(value, transaction_id)
        elif attribute == _CHANGE_REQUEST:
            change_port = value == _CHANGE_PORT
        elif attribute == _FINGERPRINT:
            if value != _fingerprint(data[:offset]):
                raise DecodeError("STUN: the fingerprint does not fit")
            fingerprint = True
    return StunMessage(StunKind(kind), transaction_id, mapped, fingerprint, change_port)


def _attributes(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Where each begins, its type and its value."""
    offset = HEADER_BYTES
    while offset < len(data):
        attribute, size = _ATTRIBUTE.unpack_from(data, offset)
        value = data[offset + 4 : offset + 4 + size]
        if len(value) != size:
            raise DecodeError("STUN: an attribute that goes on behind the end")
        yield offset, attribute, value
        offset += 4 + size + -size % 4


def _encode(kind: StunKind, transaction_id: bytes, attributes: bytes, *, fingerprint: bool) -> bytes:
    if len(transaction_id) != TRANSACTION_ID_BYTES:
        raise ValueError(f"STUN transaction id: {len(transaction_id)} bytes, want {TRANSACTION_ID_BYTES}")
    length = len(attributes) + (_FINGERPRINT_BYTES if fingerprint else 0)
    message = _HEADER.pack(kind, length, STUN_MAGIC_COOKIE, transaction_id) + attributes
    if not fingerprint:
        return message
    return message + _ATTRIBUTE.pack(_FINGERPRINT, 4) + _fingerprint(message)


def _fingerprint(before: bytes) -> bytes:
    """Of all that comes before the attribute; the header's length already counts it."""
    return (binascii.crc32(before) ^ _FINGERPRINT_MASK).to_bytes(4, "big")


def _decode_address(value: bytes, transaction_id: bytes) -> Endpoint:
    packed = _xor_address(value, transaction_id)
    match len(packed), packed[1:2]:
        case (8, b"\x01"):
            address: IPv4Address | IPv6Address = IPv4Address(packed[4:])
        case (20, b"\x02"):
            address = IPv6Address(packed[4:])
        case _:
            raise DecodeError("STUN: XOR-MAPPED-ADDRESS is neither IPv4 nor IPv6")
    port = int.from_bytes(packed[2:4], "big")
    if port == 0:
        raise DecodeError("STUN: XOR-MAPPED-ADDRESS has port 0")
    return Endpoint(address, port)


def _xor_address(value: bytes, transaction_id: bytes) -> bytes:
    """RFC 8489 §14.2: the port with the cookie's first half, the address with the cookie and the transaction id."""
    pad = b"\0\0" + STUN_MAGIC_COOKIE[:2] + STUN_MAGIC_COOKIE + transaction_id
    return bytes(byte ^ mask for byte, mask in zip(value, pad, strict=False))
