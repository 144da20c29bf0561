from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import islice

import pytest

from shadowmesh.lab.errors import LabError
from shadowmesh.lab.nat.plan import INTERNET_IPV4, INTERNET_IPV6, Lan, LanPlan


def test_the_router_has_the_first_address_and_the_hosts_the_next_ones() -> None:
    lan = Lan(IPv4Network("192.168.3.0/24"), IPv6Network("2a19::/64"))
    assert [str(address) for address in lan.addresses(0)] == ["192.168.3.1/24", "2a19::1/64"]
    assert [str(address) for address in lan.addresses(2)] == ["192.168.3.3/24", "2a19::3/64"]
    assert [str(address) for address in Lan(None, lan.ipv6).addresses(1)] == ["2a19::2/64"]


def test_a_network_has_room_for_253_hosts() -> None:
    lan = Lan(IPv4Network("192.168.3.0/24"), None)
    assert str(lan.addresses(253)[0]) == "192.168.3.254/24"
    with pytest.raises(LabError, match=r"192\.168\.3\.0/24 is full"):
        lan.addresses(254)


def test_no_network_is_handed_out_twice_or_overlaps_the_internet() -> None:
    plan = LanPlan()
    networks = [plan.home(), plan.home(), plan.carrier(), plan.carrier(), plan.routed(), plan.routed()]
    networks.append(IPv4Network(INTERNET_IPV4))
    assert not any(a.overlaps(b) for number, a in enumerate(networks) for b in islice(networks, number))
    first, second = plan.ipv6(), plan.ipv6()
    assert not first.overlaps(second)
    assert not first.overlaps(IPv6Network(INTERNET_IPV6))


def test_public_networks_are_none_that_programs_take_for_unreachable() -> None:
    plan = LanPlan()
    public = [ip_network(INTERNET_IPV4), ip_network(INTERNET_IPV6), plan.routed(), plan.ipv6()]
    assert all(network.is_global for network in public)
    assert plan.home().is_private
    assert plan.carrier().subnet_of(IPv4Network("100.64.0.0/10"))


def test_there_is_an_end_to_what_can_be_handed_out() -> None:
    plan = LanPlan()
    for _ in range(256):
        plan.home()
    with pytest.raises(LabError, match="no free network is left for another site"):
        plan.home()
