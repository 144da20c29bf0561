"""Whether the internet reaches a router's outside address."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network

Address = IPv4Address | IPv6Address

# Not `is_private`: that also covers test networks (198.18.0.0/15, 2001:db8::/32), and those a lab may route.
_NOT_THE_INTERNET = tuple(
    (ip_network(network), what)
    for network, what in (
        ("10.0.0.0/8", "private, RFC 1918"),
        ("172.16.0.0/12", "private, RFC 1918"),
        ("192.168.0.0/16", "private, RFC 1918"),
        ("100.64.0.0/10", "the provider's NAT, RFC 6598"),
        ("192.0.0.0/29", "the provider's NAT, RFC 7335"),
        ("169.254.0.0/16", "link-local"),
        ("fc00::/7", "unique local, RFC 4193"),
        ("fe80::/10", "link-local"),
    )
)


def is_no_address(address: Address) -> bool:
    """What a router says that has no way out itself, or that lies."""
    return address.is_unspecified or address.is_loopback or address.is_multicast


def why_unreachable(outside: Address, reflexive: Sequence[Address]) -> str:
    """In words, or "" when nothing speaks against it. `reflexive`: how servers on the internet see us."""
    for network, what in _NOT_THE_INTERNET:
        if outside.version == network.version and outside in network:
            return f"the router's outside address {outside} is not the internet's ({what})"
    seen = [address for address in reflexive if address.version == outside.version]
    if seen and outside not in seen:
        return f"the router's outside address is {outside}, and the internet sees {seen[0]}: another NAT is between"
    return ""
