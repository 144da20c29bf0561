"""PCP (RFC 6887), the opcodes MAP (for UDP) and ANNOUNCE. Section numbers are the RFC's.

We send no options. In a response they are checked for form and skipped.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import ClassVar, Self

from shadowmesh.wire.errors import DecodeError

SERVER_PORT = 5351
ANNOUNCEMENT_PORT = 5350  # section 14.1.3: clients listen there; NAT-PMP's announcements go there too
VERSION = 2
NONCE_BYTES = 12
MAX_MESSAGE_BYTES = 1100  # section 7
_RESPONSE_BIT = 0x80
_UDP = 17
_REQUEST_HEAD = struct.Struct("!BB2xI16s")
_RESPONSE_HEAD = struct.Struct("!BBxBII12x")
_MAP = struct.Struct("!12sB3xHH16s")
_OPTION = struct.Struct("!BxH")

Address = IPv4Address | IPv6Address


class Opcode(IntEnum):
    ANNOUNCE = 0
    MAP = 1


class ResultCode(IntEnum):
    """Section 7.4."""

    SUCCESS = 0
    UNSUPP_VERSION = 1
    NOT_AUTHORIZED = 2
    MALFORMED_REQUEST = 3
    UNSUPP_OPCODE = 4
    UNSUPP_OPTION = 5
    MALFORMED_OPTION = 6
    NETWORK_FAILURE = 7
    NO_RESOURCES = 8
    UNSUPP_PROTOCOL = 9
    USER_EX_QUOTA = 10
    CANNOT_PROVIDE_EXTERNAL = 11
    ADDRESS_MISMATCH = 12
    EXCESSIVE_REMOTE_PEERS = 13


@dataclass(frozen=True, slots=True)
class MapRequest:
    """Asks for a mapping of a UDP port, or to end it (lifetime 0). 60 bytes, sections 7.1 and 11.1."""

    SIZE: ClassVar[int] = _REQUEST_HEAD.size + _MAP.size
    client: Address  # our address as we know it: the server tells a NAT between us by it
    nonce: bytes  # 12 bytes, the same for the life of the mapping
    internal_port: int
    external_port: int  # wanted; 0: any
    external_address: Address  # wanted; all zero (of the family) for any
    lifetime_s: int

    def encode(self) -> bytes:
        """Raises ValueError for a nonce of another length than 12 bytes."""
        head = _REQUEST_HEAD.pack(VERSION, Opcode.MAP, self.lifetime_s, _packed(self.client))
        return head + _encode_map(self.nonce, self.internal_port, self.external_port, self.external_address)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises DecodeError, also for another protocol than UDP and for options."""
        if len(data) != cls.SIZE:
            raise DecodeError(f"PCP MAP request: {len(data)} bytes, want {cls.SIZE}")
        version, opcode, lifetime_s, client = _REQUEST_HEAD.unpack_from(data)
        if version != VERSION or opcode != Opcode.MAP:
            raise DecodeError("PCP: not a MAP request of version 2")
        return cls(_address(client), *_decode_map(data, _REQUEST_HEAD.size), lifetime_s)


@dataclass(frozen=True, slots=True)
class MapResponse:
    """What was mapped. 60 bytes, sections 7.2 and 11.1."""

    SIZE: ClassVar[int] = _RESPONSE_HEAD.size + _MAP.size
    nonce: bytes  # 12 bytes
    internal_port: int
    external_port: int
    external_address: Address
    lifetime_s: int
    epoch_s: int

    def encode(self) -> bytes:
        """Raises ValueError for a nonce of another length than 12 bytes."""
        head = _response_head(Opcode.MAP, ResultCode.SUCCESS, self.lifetime_s, self.epoch_s)
        return head + _encode_map(self.nonce, self.internal_port, self.external_port, self.external_address)


@dataclass(frozen=True, slots=True)
class AnnounceResponse:
    """How long the server has kept its mappings. 24 bytes, section 14.1; mostly unasked, by multicast."""

    epoch_s: int

    def encode(self) -> bytes:
        return _response_head(Opcode.ANNOUNCE, ResultCode.SUCCESS, 0, self.epoch_s)


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """A result other than success. The nonce tells what was refused; None where the server sent only a header."""

    opcode: int
    result: int  # a ResultCode, or one that was defined later
    lifetime_s: int  # how long it will stay so
    epoch_s: int
    nonce: bytes | None = None

    def encode(self) -> bytes:
        """Ports and address behind the nonce are zero: nobody reads them."""
        head = _response_head(self.opcode, self.result, self.lifetime_s, self.epoch_s)
        return head if self.nonce is None else head + _encode_map(self.nonce, 0, 0, IPv4Address(0))


Response = MapResponse | AnnounceResponse | ErrorResponse


def decode_response(data: bytes) -> Response:
    """Raises DecodeError for what is not a version 2 response to MAP or ANNOUNCE, and not an error."""
    _check_length(data, _RESPONSE_HEAD.size)
    version, opcode, result, lifetime_s, epoch_s = _RESPONSE_HEAD.unpack_from(data)
    if version != VERSION or opcode < _RESPONSE_BIT:
        raise DecodeError("PCP: not a response of version 2")
    opcode -= _RESPONSE_BIT
    if result != ResultCode.SUCCESS:
        has_nonce = opcode == Opcode.MAP and len(data) >= MapResponse.SIZE
        nonce = data[_RESPONSE_HEAD.size :][:NONCE_BYTES] if has_nonce else None
        return ErrorResponse(opcode, result, lifetime_s, epoch_s, nonce)
    if opcode == Opcode.ANNOUNCE:
        _check_options(data, _RESPONSE_HEAD.size)
        return AnnounceResponse(epoch_s)
    if opcode != Opcode.MAP:
        raise DecodeError("PCP: a response to another opcode than MAP and ANNOUNCE")
    _check_length(data, MapResponse.SIZE)
    _check_options(data, MapResponse.SIZE)
    return MapResponse(*_decode_map(data, _RESPONSE_HEAD.size), lifetime_s, epoch_s)


def _response_head(opcode: int, result: int, lifetime_s: int, epoch_s: int) -> bytes:
    return _RESPONSE_HEAD.pack(VERSION, _RESPONSE_BIT | opcode, result, lifetime_s, epoch_s)


def _check_length(data: bytes, at_least: int) -> None:
    if not at_least <= len(data) <= MAX_MESSAGE_BYTES or len(data) % 4:  # section 7
        raise DecodeError(f"PCP: {len(data)} bytes; multiples of 4 from {at_least} to {MAX_MESSAGE_BYTES} allowed")


def _check_options(data: bytes, offset: int) -> None:
    """Section 7.3."""
    while offset < len(data):
        _, size = _OPTION.unpack_from(data, offset)
        offset += _OPTION.size + size + -size % 4
    if offset != len(data):
        raise DecodeError("PCP: an option that goes on behind the end")


def _encode_map(nonce: bytes, internal_port: int, external_port: int, external: Address) -> bytes:
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"PCP nonce: {len(nonce)} bytes, want {NONCE_BYTES}")
    return _MAP.pack(nonce, _UDP, internal_port, external_port, _packed(external))


def _decode_map(data: bytes, offset: int) -> tuple[bytes, int, int, Address]:
    nonce, protocol, internal_port, external_port, external = _MAP.unpack_from(data, offset)
    if protocol != _UDP or internal_port == 0:
        raise DecodeError("PCP: not a mapping of one UDP port")
    return nonce, internal_port, external_port, _address(external)


def _packed(address: Address) -> bytes:
    """Section 5: IPv4 in its mapped form."""
    return address.packed if isinstance(address, IPv6Address) else b"\0" * 10 + b"\xff\xff" + address.packed


def _address(packed: bytes) -> Address:
    address = IPv6Address(packed)
    return address.ipv4_mapped or address
