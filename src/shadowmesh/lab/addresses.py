"""Which addresses the hosts of one network get."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_interface

from shadowmesh.lab.errors import LabError

Interface = IPv4Interface | IPv6Interface


class AddressPlan:
    """Hands out addresses of one IPv4 and one IPv6 network, each at most once.

    The first half of the IPv4 network and the first /64 of the IPv6 network belong to the switch. Each direct
    link gets a /30 of the second half and the next /64.
    """

    def __init__(self, ipv4: str, ipv6: str) -> None:
        try:
            network4, network6 = IPv4Network(ipv4), IPv6Network(ipv6)
        except ValueError as error:
            raise LabError(f"not a network: {error}") from error
        if network4.prefixlen > 28 or network6.prefixlen > 60:
            raise LabError(f"{ipv4} and {ipv6}: the lab needs an IPv4 /28 and an IPv6 /60 or larger")
        switch4, links4 = network4.subnets(prefixlen_diff=1)
        networks6 = network6.subnets(new_prefix=64)
        switch6 = next(networks6)
        self._free4: Iterator[IPv4Interface] = _hosts4(switch4)
        self._free6: Iterator[IPv6Interface] = _hosts6(switch6)
        self._links4 = links4.subnets(new_prefix=30)
        self._links6 = networks6
        self._used: set[str] = set()

    def claim(self, addresses: Sequence[str]) -> tuple[Interface, ...]:
        """Takes addresses that the caller chose, such as "198.18.7.1/17". Raises `LabError` if one is taken."""
        try:
            chosen = tuple(ip_interface(address) for address in addresses)
        except ValueError as error:
            raise LabError(f"not an address: {error}") from error
        for address in chosen:
            self._take(address)
        return chosen

    def next_on_switch(self) -> tuple[Interface, ...]:
        """The next free IPv4 and IPv6 address of the switch."""
        return (self._next(self._free4), self._next(self._free6))

    def next_link(self) -> tuple[tuple[Interface, ...], tuple[Interface, ...]]:
        """IPv4 and IPv6 address of either end of a new direct link."""
        network4, network6 = next(self._links4, None), next(self._links6, None)
        if network4 is None or network6 is None:
            raise LabError("no free network is left for another link")
        ends4, ends6 = _hosts4(network4), _hosts6(network6)
        near: tuple[Interface, ...] = (next(ends4), next(ends6))
        far: tuple[Interface, ...] = (next(ends4), next(ends6))
        for address in (*near, *far):
            self._take(address)
        return near, far

    def _next(self, free: Iterator[IPv4Interface] | Iterator[IPv6Interface]) -> Interface:
        for address in free:
            if str(address.ip) not in self._used:
                self._take(address)
                return address
        raise LabError("no free address is left")

    def _take(self, address: Interface) -> None:
        if str(address.ip) in self._used:
            raise LabError(f"{address.ip} is taken")
        self._used.add(str(address.ip))


def _hosts4(network: IPv4Network) -> Iterator[IPv4Interface]:
    return (IPv4Interface((host, network.prefixlen)) for host in network.hosts())


def _hosts6(network: IPv6Network) -> Iterator[IPv6Interface]:
    return (IPv6Interface((host, network.prefixlen)) for host in network.hosts())
