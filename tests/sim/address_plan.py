"""Which addresses the hosts and boxes of a world get."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address, IPv6Address

from tests.sim.nat.behaviour import Address, Nat
from tests.sim.site import Site

_PUBLIC_HOSTS = IPv4Address("198.18.0.0")
_PUBLIC_BOXES = IPv4Address("198.19.16.0")  # the backbone's are below
_SHARED = IPv4Address("100.64.0.0")  # RFC 6598: between a carrier's box and those behind it
_PRIVATE = IPv4Address("10.0.0.0")
_GLOBAL = IPv6Address("2001:db8::")


class AddressPlan:
    """Sites are numbered, and so are the hosts of each; the internet is number 0."""

    def __init__(self, internet: Site) -> None:
        self._numbers: dict[Site, int] = {internet: 0}
        self._lans: dict[Site, IPv4Address] = {}
        self._members: Counter[Site] = Counter()
        self._public_hosts = 0
        self._boxes = 0

    def add(self, site: Site, lan: str | None) -> None:
        """`lan`: of a /24, for sites that use the same private addresses; otherwise each has its own."""
        number = len(self._numbers)
        self._numbers[site] = number
        self._lans[site] = _PRIVATE + 256 * number if lan is None else IPv4Address(lan)

    def host(self, site: Site, *, ipv6: bool) -> list[str]:
        """Addresses of one more host, IPv4 first."""
        self._members[site] += 1
        box = site.boxes.get(4)
        if box is not None and box.behaviour.translates:
            addresses = [str(self._lans[site] + 1 + self._members[site])]
        else:
            self._public_hosts += 1
            last = divmod(self._public_hosts, 250)
            addresses = [str(_PUBLIC_HOSTS + 256 * last[0] + last[1] + 1)]
        if ipv6:
            addresses.append(str(_GLOBAL + (self._numbers[site] << 64) + self._members[site]))
        return addresses

    def outside(self, parent: Site, nat: Nat) -> list[Address]:
        """Of a box below the parent."""
        if not nat.translates:
            return []
        above = parent.boxes.get(4)
        base = _SHARED if above is not None and above.behaviour.translates else _PUBLIC_BOXES
        first, self._boxes = self._boxes, self._boxes + nat.outside_addresses
        return [base + 1 + number for number in range(first, self._boxes)]
