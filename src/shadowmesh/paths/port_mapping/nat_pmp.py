"""NAT-PMP (RFC 6886) for UDP: what a client sends and a gateway answers. Section numbers are those of the RFC."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address
from typing import ClassVar, Self

from shadowmesh.wire.errors import DecodeError

SERVER_PORT = 5351
VERSION = 0
RESPONSE_BIT = 0x80
_ADDRESS_REQUEST = struct.Struct("!BB")
_MAP_REQUEST = struct.Struct("!BBHHHI")
_HEAD = struct.Struct("!BBHI")
_ADDRESS_RESPONSE = struct.Struct("!BBHI4s")
_MAP_RESPONSE = struct.Struct("!BBHIHHI")


class Opcode(IntEnum):
    EXTERNAL_ADDRESS = 0
    MAP_UDP = 1


class ResultCode(IntEnum):
    """Section 3.5."""

    SUCCESS = 0
    UNSUPPORTED_VERSION = 1
    NOT_AUTHORIZED = 2
    NETWORK_FAILURE = 3
    OUT_OF_RESOURCES = 4
    UNSUPPORTED_OPCODE = 5


@dataclass(frozen=True, slots=True)
class AddressRequest:
    """Asks for the gateway's outside address. 2 bytes, section 3.2."""

    SIZE: ClassVar[int] = _ADDRESS_REQUEST.size

    def encode(self) -> bytes:
        return _ADDRESS_REQUEST.pack(VERSION, Opcode.EXTERNAL_ADDRESS)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        _check(data, cls.SIZE, Opcode.EXTERNAL_ADDRESS)
        return cls()


@dataclass(frozen=True, slots=True)
class MapRequest:
    """Asks for a mapping of a UDP port, or to end it (lifetime 0). 12 bytes, sections 3.3 and 3.4."""

    SIZE: ClassVar[int] = _MAP_REQUEST.size
    internal_port: int
    external_port: int  # wanted; 0: any, and when a mapping is ended
    lifetime_s: int

    def encode(self) -> bytes:
        return _MAP_REQUEST.pack(VERSION, Opcode.MAP_UDP, 0, self.internal_port, self.external_port, self.lifetime_s)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        _check(data, cls.SIZE, Opcode.MAP_UDP)
        # Section 3.3: the two reserved bytes are ignored on reception.
        _, _, _, internal_port, external_port, lifetime_s = _MAP_REQUEST.unpack(data)
        if internal_port == 0:
            raise DecodeError("NAT-PMP: internal port 0")
        return cls(internal_port, external_port, lifetime_s)


@dataclass(frozen=True, slots=True)
class AddressResponse:
    """12 bytes, section 3.2. As an announcement it is sent to 224.0.0.1 port 5350."""

    epoch_s: int  # seconds since the gateway lost its mappings
    address: IPv4Address

    def encode(self) -> bytes:
        opcode = RESPONSE_BIT | Opcode.EXTERNAL_ADDRESS
        return _ADDRESS_RESPONSE.pack(VERSION, opcode, ResultCode.SUCCESS, self.epoch_s, self.address.packed)


@dataclass(frozen=True, slots=True)
class MapResponse:
    """16 bytes, section 3.3."""

    epoch_s: int
    internal_port: int
    external_port: int  # 0 when the mapping was ended
    lifetime_s: int

    def encode(self) -> bytes:
        opcode = RESPONSE_BIT | Opcode.MAP_UDP
        ports = (self.internal_port, self.external_port)
        return _MAP_RESPONSE.pack(VERSION, opcode, ResultCode.SUCCESS, self.epoch_s, *ports, self.lifetime_s)


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """A result other than success. 8 bytes, or as long as a success, the rest without meaning."""

    opcode: int  # of the request, 0 to 127: a gateway names those that it does not know too
    result: int  # a ResultCode, or one that was defined later
    epoch_s: int

    def encode(self) -> bytes:
        return _HEAD.pack(VERSION, RESPONSE_BIT | self.opcode, self.result, self.epoch_s)


Response = AddressResponse | MapResponse | ErrorResponse


def decode_response(data: bytes) -> Response:
    """Raises DecodeError for what no gateway answers to the two requests above."""
    if not _HEAD.size <= len(data) <= _MAP_RESPONSE.size:
        raise DecodeError(f"NAT-PMP response: {len(data)} bytes, {_HEAD.size} to {_MAP_RESPONSE.size} allowed")
    version, opcode, result, epoch_s = _HEAD.unpack_from(data)
    if version != VERSION or opcode < RESPONSE_BIT:
        raise DecodeError("NAT-PMP: not a response of version 0")
    if result != ResultCode.SUCCESS:
        return ErrorResponse(opcode - RESPONSE_BIT, result, epoch_s)
    match opcode - RESPONSE_BIT, len(data):
        case Opcode.EXTERNAL_ADDRESS, _ADDRESS_RESPONSE.size:
            return AddressResponse(epoch_s, IPv4Address(data[8:]))
        case Opcode.MAP_UDP, _MAP_RESPONSE.size:
            *_, internal_port, external_port, lifetime_s = _MAP_RESPONSE.unpack(data)
            if internal_port == 0 or (external_port == 0) != (lifetime_s == 0):
                raise DecodeError("NAT-PMP: a port is 0")
            return MapResponse(epoch_s, internal_port, external_port, lifetime_s)
        case _:
            raise DecodeError("NAT-PMP response: the length does not fit the opcode")


def _check(data: bytes, size: int, opcode: Opcode) -> None:
    if len(data) != size:
        raise DecodeError(f"NAT-PMP request: {len(data)} bytes, want {size}")
    if data[0] != VERSION or data[1] != opcode:
        raise DecodeError(f"NAT-PMP: not a request of version 0 for {opcode.name}")
