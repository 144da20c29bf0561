"""What a NAT or firewall does, as a value: the behaviours of RFC 4787, and a few that real boxes add."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

from tests.sim.nat.ports import PRESERVING, Blocks, Ports, Preserving, Sequential, Uniform

from shadowmesh.wire.endpoint import Endpoint

Address = IPv4Address | IPv6Address
Scope = Endpoint | Address | None  # what two remote endpoints have in common when a box does not tell them apart


class Dependence(Enum):
    """RFC 4787 §4.1 for mapping, §5 for filtering."""

    ENDPOINT_INDEPENDENT = "EI"
    ADDRESS_DEPENDENT = "AD"
    ADDRESS_AND_PORT_DEPENDENT = "APD"

    def scope(self, remote: Endpoint) -> Scope:
        match self:
            case Dependence.ENDPOINT_INDEPENDENT:
                return None
            case Dependence.ADDRESS_DEPENDENT:
                return remote.address
            case Dependence.ADDRESS_AND_PORT_DEPENDENT:
                return remote


EI = Dependence.ENDPOINT_INDEPENDENT
AD = Dependence.ADDRESS_DEPENDENT
APD = Dependence.ADDRESS_AND_PORT_DEPENDENT


class Pooling(Enum):
    """RFC 4787 §4.1: whether one inside address always gets the same outside address of a pool."""

    PAIRED = "paired"
    ARBITRARY = "arbitrary"


@dataclass(frozen=True, slots=True)
class Nat:
    """UDP behaviour of one box. Raises ValueError for what no box can be."""

    mapping: Dependence = EI
    filtering: Dependence = APD
    ports: Ports = PRESERVING
    hairpin: bool = False  # RFC 4787 §6; the source that an inside peer sees is the outside one
    outside_addresses: int = 1
    pooling: Pooling = Pooling.PAIRED
    timeout_s: float = 120.0  # RFC 4787 REQ-5: two minutes at least
    refreshed_by_inbound: bool = True  # outbound always refreshes: REQ-6
    capacity: int = 65_536  # entries; then new flows are refused
    translates: bool = True  # False: a stateful firewall
    blocks_udp: bool = False
    per_flow: bool = False  # as Linux: each flow is an entry, and two may share an outside port unless they clash
    unsolicited_claims: bool = False  # as Linux with an open input chain: what comes unasked holds its flow for 30 s

    def __post_init__(self) -> None:
        if self.per_flow and (self.mapping, self.filtering) != (EI, APD):
            raise ValueError("a box with an entry a flow keeps the port where it can, and filters by flow")
        if self.per_flow and not isinstance(self.ports, Preserving):
            raise ValueError("a box with an entry a flow maps alike only while it preserves the port")
        if self.unsolicited_claims and not self.per_flow:
            raise ValueError("only entries a flow can clash with unsolicited ones")
        if not self.translates and (self.mapping is not EI or self.hairpin or self.per_flow):
            raise ValueError("what does not translate keeps every endpoint")
        if self.outside_addresses < 1 or self.capacity < 1 or self.timeout_s <= 0:
            raise ValueError("a box needs an outside address, room for an entry, and time to keep it")


FIREWALL = Nat(EI, APD, translates=False)
UDP_BLOCKED = Nat(blocks_udp=True)
LINUX = Nat(EI, APD, per_flow=True)
LINUX_OPEN_INPUT = Nat(EI, APD, per_flow=True, unsolicited_claims=True)
SYMMETRIC = Nat(APD, APD, Uniform())
SYMMETRIC_SEQUENTIAL = Nat(APD, APD, Sequential())
CARRIER = Nat(EI, APD, Uniform(), hairpin=True, outside_addresses=4)
CARRIER_BLOCKS = Nat(EI, EI, Blocks(), hairpin=True, outside_addresses=4)
