"""An IP address and a UDP or TCP port."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Self

from shadowmesh.wire.errors import DecodeError

ENDPOINT_BYTES = 18
_PORT = struct.Struct("!H")
_V4_MAPPED = bytes(10) + b"\xff\xff"


@dataclass(frozen=True, slots=True, order=False)
class Endpoint:
    """Where a datagram comes from or goes to. An IPv4-mapped IPv6 address is held as its IPv4 address."""

    address: IPv4Address | IPv6Address
    port: int  # 1 to 65535

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise ValueError(f"port {self.port} is not between 1 and 65535")
        if isinstance(self.address, IPv6Address):
            if self.address.scope_id is not None:
                raise ValueError(f"{self.address} has a scope, which means something on one machine only")
            if self.address.ipv4_mapped is not None:
                object.__setattr__(self, "address", self.address.ipv4_mapped)

    def __hash__(self) -> int:
        return hash((int(self.address), self.port))  # that of the address formats it as text

    @classmethod
    def of(cls, host: str, port: int) -> Self:
        """From an address in text. Raises ValueError when it is a name, or has a scope."""
        return cls(ip_address(host), port)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `192.0.2.1:41641` or `[2001:db8::1]:41641`. Raises ValueError, as `of` does."""
        host, separator, port = text.rpartition(":")
        if not separator or not port.isascii() or not port.isdigit():
            raise ValueError(f"{text!r} is not address:port")
        if host.startswith("[") and host.endswith("]"):
            return cls(IPv6Address(host[1:-1]), int(port))
        return cls(IPv4Address(host), int(port))

    def encode(self) -> bytes:
        """18 bytes: the address as IPv6 (IPv4 in its mapped form, RFC 4291 §2.5.5.2), then the port."""
        packed = self.address.packed
        return (packed if len(packed) == 16 else _V4_MAPPED + packed) + _PORT.pack(self.port)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises DecodeError for another length and for port 0."""
        if len(data) != ENDPOINT_BYTES:
            raise DecodeError(f"endpoint: {len(data)} bytes, want {ENDPOINT_BYTES}")
        (port,) = _PORT.unpack_from(data, 16)
        if port == 0:
            raise DecodeError("endpoint: port 0")
        return cls(IPv6Address(data[:16]), port)

    @property
    def pair(self) -> tuple[str, int]:
        """(address in text, port): the form that sockets and the engine take."""
        return str(self.address), self.port

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.port}"
