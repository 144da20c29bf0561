from ipaddress import IPv4Network, IPv6Network, ip_interface

import pytest
from tests.unit.lab.recorder import Recorder, recorded_host

from shadowmesh.lab.errors import LabError
from shadowmesh.lab.host import Host
from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.nat.plan import Lan
from shadowmesh.lab.nat.router import Router
from shadowmesh.lab.nat.rules import Ipv6, Policy
from shadowmesh.lab.nat.site import Site, lan_switch, route_line
from shadowmesh.lab.network import Network

V4 = IPv4Network("192.168.3.0/24")
V6 = IPv6Network("2a19::/64")


class Above:
    """An uplink that takes down what it is asked for."""

    def __init__(self) -> None:
        self.routes: list[str] = []
        self.renumbered: list[str] = []

    def host(self, name: str) -> Host:
        return recorded_host(name)[0]

    def route(self, prefix: IPv4Network | IPv6Network, via: Host) -> None:
        self.routes.append(route_line(prefix, via))

    def renumber(self, host: Host) -> None:
        self.renumbered.append(host.name)


def test_only_networks_that_the_world_may_know_are_announced() -> None:
    above = Above()
    site(above, Policy(NatKind.SYMMETRIC, Ipv6.OPEN))
    assert above.routes == ["route replace 2a19::/64 via 2a18::9"]
    site(above, Policy(NatKind.FIREWALL))
    assert above.routes[1:] == ["route replace 192.168.3.0/24 via 11.18.0.9"]


def test_a_host_uses_its_first_interface_while_that_has_a_carrier() -> None:
    one, other = site(Above(), Policy(NatKind.SYMMETRIC)), site(Above(), Policy(NatKind.SYMMETRIC))
    phone, recorder = recorded_host("phone")
    one.attach(phone)
    other.attach(phone)
    routes = [line for line in recorder.lines if "default" in line]
    assert routes == [
        "route replace default via 192.168.3.1 dev eth0 metric 100",
        "route replace default via 192.168.3.1 dev eth1 metric 101",
    ]
    assert recorder.settings["ipv4/conf/eth1/ignore_routes_with_linkdown"] == "1"


def test_a_host_that_is_detached_keeps_what_it_has_elsewhere() -> None:
    one, other = site(Above(), Policy(NatKind.SYMMETRIC)), site(Above(), Policy(NatKind.SYMMETRIC))
    phone, recorder = recorded_host("phone")
    one.attach(phone)
    other.attach(phone)
    one.detach(phone)
    assert "link del eth0" in recorder.lines
    assert list(phone.attachments) == ["eth1"]
    assert one.hosts == []
    assert other.hosts == [phone]
    assert one.attach(phone).interface == "eth0"


def test_a_roam_takes_new_addresses_and_announces_them() -> None:
    above = Above()
    made = site(above, Policy(NatKind.SYMMETRIC, Ipv6.OPEN))
    made.roam()
    assert above.renumbered == ["home-gw"]
    assert len(above.routes) == 2


@pytest.mark.parametrize("kind", [NatKind.PUBLIC, NatKind.FIREWALL])
def test_a_site_whose_hosts_own_their_addresses_does_not_roam(kind: NatKind) -> None:
    with pytest.raises(LabError, match="attach them elsewhere"):
        site(Above(), Policy(kind)).roam()


def test_behind_a_carrier_the_carrier_roams() -> None:
    carrier = site(Above(), Policy(NatKind.CARRIER))
    with pytest.raises(LabError, match="is behind a carrier"):
        site(carrier, Policy(NatKind.SYMMETRIC)).roam()


def test_a_route_leads_to_the_outside_address_of_the_same_family() -> None:
    router, _ = recorded_host("gw", ip_interface("11.18.0.9/17"), ip_interface("2a18::9/64"))
    assert route_line(V4, router) == "route replace 192.168.3.0/24 via 11.18.0.9"
    assert route_line(V6, router) == "route replace 2a19::/64 via 2a18::9"


def site(above: "Above | Site", policy: Policy) -> Site:
    router, _ = recorded_host("home-gw", ip_interface("11.18.0.9/17"), ip_interface("2a18::9/64"))
    lan = Lan(V4, None if policy.ipv6 is Ipv6.NONE else V6)
    switch = lan_switch(router)
    assert isinstance(router.namespace, Recorder)
    assert "link set br0 up" in router.namespace.lines
    return Site(Network(), above, Router(router, policy), lan, switch)
