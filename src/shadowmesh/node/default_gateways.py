"""The routers that are this host's way out, and the address that each knows us by. Linux."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from shadowmesh.paths.port_mapping.status import Gateway

_ROUTE = Path("/proc/net/route")
_IPV6_ROUTE = Path("/proc/net/ipv6_route")
# linux/route.h
_RTF_UP, _RTF_GATEWAY, _RTF_REJECT = 0x1, 0x2, 0x200
_ANY_PORT = 9  # discard, RFC 863: nothing is sent
_A_GLOBAL_ADDRESS = "2000::1"  # the first of all that are given out, RFC 4291: the kernel tells how it would go there


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    gateway: IPv4Address | IPv6Address
    interface: str
    metric: int


@dataclass(frozen=True, slots=True)
class ReachedGateway:
    """A gateway, and the interface on which it is: a link-local address means nothing without."""

    gateway: Gateway
    interface: str


def default_interfaces() -> frozenset[str]:
    """All that a default route leads through."""
    tables = ((_ROUTE, parse_route), (_IPV6_ROUTE, parse_ipv6_route))
    return frozenset(route.interface for table, parse in tables for route in parse(_read(table)))


def default_gateways() -> list[ReachedGateway]:
    """At most one of each family, that of the lowest metric; those without a usable address of ours are left out."""
    found = []
    for table, parse in ((_ROUTE, parse_route), (_IPV6_ROUTE, parse_ipv6_route)):
        route = min(parse(_read(table)), key=lambda route: route.metric, default=None)
        local = None if route is None else _local_address(route)
        if route is not None and local is not None:
            found.append(ReachedGateway(Gateway(route.gateway, local), route.interface))
    return found


def parse_route(table: str) -> list[DefaultRoute]:
    """/proc/net/route: name, destination, gateway, flags, two counters, metric, mask; addresses in the host's order."""
    routes = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or fields[1] != "00000000" or fields[7] != "00000000" or not _is_gateway(fields[3]):
            continue
        gateway = IPv4Address(int(fields[2], 16).to_bytes(4, sys.byteorder))
        routes.append(DefaultRoute(gateway, fields[0], int(fields[6])))
    return routes


def parse_ipv6_route(table: str) -> list[DefaultRoute]:
    """/proc/net/ipv6_route: two prefixes with lengths, gateway, metric, two counters, flags (all in hex), name."""
    routes = []
    for line in table.splitlines():
        fields = line.split()
        if len(fields) < 10 or fields[1] != "00" or fields[3] != "00" or not _is_gateway(fields[8]):
            continue
        routes.append(DefaultRoute(IPv6Address(bytes.fromhex(fields[4])), fields[9], int(fields[5], 16)))
    return routes


def _is_gateway(flags: str) -> bool:
    return int(flags, 16) & (_RTF_UP | _RTF_GATEWAY | _RTF_REJECT) == _RTF_UP | _RTF_GATEWAY


def _read(table: Path) -> str:
    try:
        return table.read_text(encoding="ascii")
    except OSError:
        return ""  # this family is switched off


def _local_address(route: DefaultRoute) -> IPv4Address | IPv6Address | None:
    """To an IPv6 router we go from the address that peers would see, not from the link-local one."""
    is_ipv4 = route.gateway.version == 4
    with socket.socket(socket.AF_INET if is_ipv4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(route.gateway) if is_ipv4 else _A_GLOBAL_ADDRESS, _ANY_PORT))
        except OSError:
            return None
        address = ip_address(probe.getsockname()[0].partition("%")[0])
    return None if address.is_link_local or address.is_unspecified else address
