"""Whose request it is, as far as an address can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from shadowmesh.backbone.limits.bounded_table import BoundedTable

Network = IPv4Network | IPv6Network
_MAX_REMEMBERED = 8192  # each a few hundred bytes: the addresses of the last minutes of a busy region
_UNSPECIFIED = IPv4Address(0)


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """What limits are counted by: a household, not a machine."""

    address: IPv4Address | IPv6Address
    key: bytes  # 4 bytes of IPv4, or the /56 (7 bytes) of IPv6
    unlimited: bool = False  # the operator's own monitoring and load tests

    @classmethod
    def of(cls, address: IPv4Address | IPv6Address, *, unlimited: bool = False) -> ClientAddress:
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return cls(address, address.packed if address.version == 4 else address.packed[:7], unlimited)

    @property
    def network(self) -> bytes:
        """The /24 of IPv4 or the /56 of IPv6: what new registrations are counted by."""
        return self.key[:3] if self.address.version == 4 else self.key


class AddressResolver:
    """Believes `X-Forwarded-For` only from the given proxies, and from the right only as far as those go."""

    def __init__(self, *, proxies: Sequence[Network] = (), unlimited: Sequence[Network] = ()) -> None:
        self._proxies = tuple(proxies)
        self._unlimited = tuple(unlimited)
        self._known: BoundedTable[tuple[str, bytes], ClientAddress] = BoundedTable(_MAX_REMEMBERED)

    def resolve(self, host: str, forwarded_for: bytes = b"") -> ClientAddress:
        """`host`: the other end of the connection. A header that makes no sense ends at the last proxy believed."""
        if not self._proxies:
            forwarded_for = b""
        known = self._known.get((host, forwarded_for))
        if known is None:
            known = self._resolve(host, forwarded_for)
            if len(forwarded_for) <= 256:
                self._known.put((host, forwarded_for), known)
        return known

    def _resolve(self, host: str, forwarded_for: bytes) -> ClientAddress:
        address = _parse(host) or _UNSPECIFIED
        hops = forwarded_for.decode("latin-1").split(",")
        while hops and _contains(self._proxies, address):
            hop = _parse(hops.pop())
            if hop is None:
                break
            address = hop
        return ClientAddress.of(address, unlimited=_contains(self._unlimited, address))


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Raises ValueError."""
    return tuple(ip_network(text) for text in texts)


def _contains(networks: Sequence[Network], address: IPv4Address | IPv6Address) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
