"""A network as an internet: hosts with public addresses, and sites behind routers."""

from ipaddress import IPv4Network, IPv6Network

from shadowmesh.lab.errors import LabError
from shadowmesh.lab.host import Host
from shadowmesh.lab.nat import port_mapping
from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.nat.plan import Lan, LanPlan
from shadowmesh.lab.nat.router import OUTSIDE, Router, forward
from shadowmesh.lab.nat.rules import Ipv6, Policy
from shadowmesh.lab.nat.site import Site, Uplink, default_routes, lan_switch, route_line
from shadowmesh.lab.network import Network


class Internet:
    """Takes an open network with the addresses of `plan`, on which it makes a host "core" that knows all routes.

    Public hosts and the routers of sites stand on the network's switch: `Host.impair`, `link_down` and `link_up` work
    on them. Everything is removed with the network.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._plan = LanPlan()
        self._core = network.host("core")
        forward(self._core)

    def host(self, name: str) -> Host:
        """A host with public addresses of both families, and nothing between it and the world."""
        host = self._network.host(name)
        # The core sends on to where the packet came from: right as it is, nothing to learn.
        host.namespace.sysctl("ipv6/conf/all/accept_redirects", "0")
        host.namespace.sysctl("ipv6/conf/eth0/accept_redirects", "0")
        host.namespace.ip(default_routes(self._core.addresses, f"dev {OUTSIDE}"))
        return host

    def site(
        self,
        name: str,
        kind: NatKind | None = NatKind.PORT_RESTRICTED,
        *,
        hosts: int = 1,
        ipv6: Ipv6 = Ipv6.NONE,
        hairpin: bool = False,
        behind: Site | None = None,
        lan: IPv4Network | None = None,
        mapping_timeout_s: int = 120,
        input_filter: bool = True,
    ) -> Site:
        """Makes a router `<name>-gw` and hosts `<name>-1`, `<name>-2`, ... behind it.

        `kind=None` is a site without IPv4. With `behind`, its uplink is a carrier's site (CGNAT). `lan` is the
        private network inside instead of the next free one: homes may have the same. Raises `LabError` for what
        cannot be: see `Policy`; IPv6, or a routed IPv4 network, behind a carrier that has none.
        """
        policy = Policy(kind, ipv6, hairpin, mapping_timeout_s=mapping_timeout_s, input_filter=input_filter)
        networks = Lan(lan or self._ipv4_of(kind), None if ipv6 is Ipv6.NONE else self._plan.ipv6())
        site = self._make(name, policy, networks, behind)
        if kind is NatKind.UPNP:
            port_mapping.start(site.router.host, networks)
        for number in range(1, hosts + 1):
            site.host(f"{name}-{number}")
        return site

    def carrier(
        self,
        name: str,
        kind: NatKind = NatKind.CARRIER,
        *,
        hairpin: bool = False,
        ipv6: bool = False,
        mapping_timeout_s: int = 120,
    ) -> Site:
        """A carrier's NAT for sites that are made `behind` it: 100.64.0.0/10 inside, IPv6 unfiltered."""
        policy = Policy(kind, Ipv6.OPEN if ipv6 else Ipv6.NONE, hairpin, mapping_timeout_s=mapping_timeout_s)
        lan = Lan(self._plan.carrier(), self._plan.ipv6() if ipv6 else None)
        return self._make(name, policy, lan, None)

    def route(self, prefix: IPv4Network | IPv6Network, via: Host) -> None:
        """Sends what is for the prefix to the host, from everywhere."""
        self._core.namespace.ip([route_line(prefix, via)])

    def renumber(self, host: Host) -> None:
        """Gives the host's eth0 new addresses."""
        self._network.renumber(host, OUTSIDE)
        host.namespace.ip(default_routes(self._core.addresses, f"dev {OUTSIDE}"))

    def _make(self, name: str, policy: Policy, lan: Lan, behind: Site | None) -> Site:
        if behind is not None:
            _check_carrier(policy, behind)
        uplink: Uplink = behind or self
        host = uplink.host(f"{name}-gw")
        switch = lan_switch(host)
        return Site(self._network, uplink, Router(host, policy), lan, switch)

    def _ipv4_of(self, kind: NatKind | None) -> IPv4Network | None:
        if kind is None:
            return None
        return self._plan.home() if kind.translates else self._plan.routed()


def _check_carrier(policy: Policy, carrier: Site) -> None:
    if policy.ipv6 is not Ipv6.NONE and carrier.lan.ipv6 is None:
        raise LabError(f"{carrier.router.host.name} has no IPv6 to give")
    if policy.kind is None or not policy.kind.translates:
        raise LabError(f"{carrier.router.host.name} gives one address, not a network: {policy.kind}")
