"""What the NAT in front of a node does with its UDP port (RFC 4787), and how it is told to a peer.

Spec: docs/spec/paths.md, section 4.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from shadowmesh.wire.errors import DecodeError

NAT_BEHAVIOUR_BYTES = 8
_LAYOUT = struct.Struct("!BBhHH")
_FIRST_PORT = 1024  # NATs give clients none of the ports below it (RFC 4787, REQ-3)
_LAST_PORT = 65535


class Mapping(IntEnum):
    """On what the outside port depends (RFC 4787 section 4.1)."""

    UNKNOWN = 0
    NONE = 1  # addresses are not translated
    ENDPOINT_INDEPENDENT = 2
    ADDRESS_DEPENDENT = 3
    ADDRESS_AND_PORT_DEPENDENT = 4


HARD_MAPPINGS = (Mapping.ADDRESS_DEPENDENT, Mapping.ADDRESS_AND_PORT_DEPENDENT)


class Filtering(IntEnum):
    """From where datagrams come in through a mapping (RFC 4787 section 5)."""

    UNKNOWN = 0
    ENDPOINT_INDEPENDENT = 1
    ADDRESS_DEPENDENT = 2
    ADDRESS_AND_PORT_DEPENDENT = 3


@dataclass(frozen=True, slots=True)
class PortRange:
    """The ports from `first` to `last`, both included."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 0 < self.first <= self.last <= _LAST_PORT:
            raise ValueError(f"no range of ports: {self.first} to {self.last}")

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last


ALL_PORTS = PortRange(_FIRST_PORT, _LAST_PORT)


@dataclass(frozen=True, slots=True)
class NatBehaviour:
    """`step` and `block` matter only where the mapping depends on the destination: what the next port will be."""

    mapping: Mapping = Mapping.UNKNOWN
    filtering: Filtering = Filtering.UNKNOWN
    step: int = 0  # from one new mapping's port to the next one's; 0: at random
    block: PortRange | None = None  # where all ports seen so far lie close together

    @property
    def is_hard(self) -> bool:
        """Whether a peer can't know the outside port that our datagrams to it will have."""
        return self.mapping in HARD_MAPPINGS

    @property
    def is_predictable(self) -> bool:
        return self.is_hard and self.step != 0

    @property
    def ports(self) -> PortRange:
        """Where a mapping of a hard NAT may be."""
        return self.block or ALL_PORTS

    def encode(self) -> bytes:
        """8 bytes."""
        first, last = (0, 0) if self.block is None else (self.block.first, self.block.last)
        return _LAYOUT.pack(self.mapping, self.filtering, self.step, first, last)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises DecodeError. Kinds that we do not know are UNKNOWN."""
        if len(data) != NAT_BEHAVIOUR_BYTES:
            raise DecodeError(f"NAT behaviour: {len(data)} bytes, want {NAT_BEHAVIOUR_BYTES}")
        mapping, filtering, step, first, last = _LAYOUT.unpack(data)
        if (first, last) != (0, 0) and not 0 < first <= last:
            raise DecodeError(f"NAT behaviour: no range of ports: {first} to {last}")
        block = PortRange(first, last) if first else None
        known_mapping = Mapping(mapping) if mapping in Mapping._value2member_map_ else Mapping.UNKNOWN
        known_filtering = Filtering(filtering) if filtering in Filtering._value2member_map_ else Filtering.UNKNOWN
        return cls(known_mapping, known_filtering, step, block)


UNKNOWN_NAT = NatBehaviour()
