"""Which networks the sites of one internet get. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

from shadowmesh.lab.addresses import Interface
from shadowmesh.lab.errors import LabError

# For the `Network` of an internet. Neither is a range for tests or documentation: programs, miniupnpd among them,
# take those for unreachable from outside. No route leads out of the lab.
INTERNET_IPV4 = "11.18.0.0/16"
INTERNET_IPV6 = "2a18::/32"

_ROUTED = IPv4Network("11.19.0.0/16")
_ROUTED6 = IPv6Network("2a19::/32")
_HOME = IPv4Network("192.168.0.0/16")
_CARRIER = IPv4Network("100.64.0.0/10")  # RFC 6598


@dataclass(frozen=True, slots=True)
class Lan:
    """The networks inside a site. The router has the first address of each, the hosts the next ones."""

    ipv4: IPv4Network | None
    ipv6: IPv6Network | None

    def addresses(self, number: int) -> tuple[Interface, ...]:
        """Of the router (0) or of a host (1, 2, ...). Raises `LabError` where the network is full."""
        found: list[Interface] = []
        if self.ipv4 is not None:
            if number >= self.ipv4.num_addresses - 2:
                raise LabError(f"{self.ipv4} is full")
            found.append(IPv4Interface((self.ipv4[number + 1], self.ipv4.prefixlen)))
        if self.ipv6 is not None:
            found.append(IPv6Interface((self.ipv6[number + 1], self.ipv6.prefixlen)))
        return tuple(found)


class LanPlan:
    """Hands out networks, each at most once: a /24 and a /64 a site."""

    def __init__(self) -> None:
        self._routed = _ROUTED.subnets(new_prefix=24)
        self._home = _HOME.subnets(new_prefix=24)
        self._carrier = _CARRIER.subnets(new_prefix=24)
        self._ipv6 = _ROUTED6.subnets(new_prefix=64)

    def home(self) -> IPv4Network:
        """A private network, to be translated."""
        return _next(self._home)

    def carrier(self) -> IPv4Network:
        """A network between a carrier and its subscribers."""
        return _next(self._carrier)

    def routed(self) -> IPv4Network:
        """A public network of a site without NAT."""
        return _next(self._routed)

    def ipv6(self) -> IPv6Network:
        return next(self._ipv6)


def _next(networks: Iterator[IPv4Network]) -> IPv4Network:
    network = next(networks, None)
    if network is None:
        raise LabError("no free network is left for another site")
    return network
