"""What is known of a mapping, for people and for whoever announces our endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

from shadowmesh.wire.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Gateway:
    """A router that is our way out, and the address that it knows us by. Both of one family, without a scope."""

    address: IPv4Address | IPv6Address
    local: IPv4Address | IPv6Address


class MappingProtocol(Enum):
    PCP = "PCP"
    NAT_PMP = "NAT-PMP"
    UPNP = "UPnP IGD"


class MappingState(Enum):
    SEARCHING = "asking the router"
    MAPPED = "mapped"
    DOUBLE_NAT = "mapped behind another NAT"  # the internet does not reach the external endpoint
    FAILED = "not mapped"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class MappingStatus:
    gateway: Gateway
    state: MappingState
    protocol: MappingProtocol | None = None
    external: Endpoint | None = None
    expires_at: float | None = None  # on the clock that `now` is of
    reason: str = ""  # why it failed, or why the internet does not reach it

    @property
    def usable(self) -> Endpoint | None:
        """What a peer on the internet may be told."""
        return self.external if self.state is MappingState.MAPPED else None


@dataclass(frozen=True, slots=True)
class MappingChanged:
    """The state, the protocol, the external endpoint or the reason is another. A renewal alone is none."""

    status: MappingStatus
