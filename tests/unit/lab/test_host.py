from ipaddress import IPv4Address, IPv6Address, ip_interface
from pathlib import Path

import pytest
from tests.unit.lab.recorder import recorded_host

from shadowmesh.lab.errors import LabError, Unavailable
from shadowmesh.lab.host import Attachment, Host
from shadowmesh.lab.namespace import Namespace


def test_a_host_has_the_addresses_of_all_its_interfaces() -> None:
    alice = host()
    alice.attachments["eth0"] = Attachment("eth0", "02:00:00:00:00:01", (ip_interface("198.18.0.1/17"),))
    alice.attachments["eth1"] = Attachment("eth1", "02:00:00:00:00:02", (ip_interface("2001:db8::1/64"),))
    assert [str(address) for address in alice.addresses] == ["198.18.0.1/17", "2001:db8::1/64"]
    assert alice.ipv4 == IPv4Address("198.18.0.1")
    assert alice.ipv6 == IPv6Address("2001:db8::1")


def test_asking_for_an_address_that_is_not_there_is_an_error() -> None:
    with pytest.raises(LabError, match="alice has no IPv4Address"):
        _ = host().ipv4


def test_a_link_that_is_not_there_cannot_be_changed() -> None:
    with pytest.raises(LabError, match="alice has no interface at all"):
        host().link_down()
    with pytest.raises(LabError, match="alice has no interface eth7"):
        host().impair(delay_ms=1, interface="eth7")


def test_the_next_interface_takes_the_first_name_that_is_free() -> None:
    alice = host()
    assert alice.free_interface() == "eth0"
    for name in ("eth0", "eth2"):
        alice.attachments[name] = Attachment(name, "02:00:00:00:00:01", ())
    assert alice.free_interface() == "eth1"


def test_a_direct_link_is_not_impaired_in_both_directions() -> None:
    alice, _ = recorded_host("alice", ip_interface("198.18.0.1/17"))
    with pytest.raises(Unavailable, match="both ways take a switch: a direct link cannot be impaired"):
        alice.impair(delay_ms=1, both_ways=True)


def test_a_renumbered_interface_has_the_new_addresses_alone() -> None:
    alice, recorder = recorded_host("alice", ip_interface("198.18.0.1/17"), ip_interface("2001:db8::1/64"))
    alice.renumber("eth0", (ip_interface("198.18.0.7/17"),))
    assert [str(address) for address in alice.addresses] == ["198.18.0.7/17"]
    assert recorder.lines == [
        "address flush dev eth0 scope global",
        "link set eth0 up",
        "address add 198.18.0.7/17 dev eth0",
    ]


def test_a_detached_interface_is_gone() -> None:
    alice, recorder = recorded_host("alice", ip_interface("198.18.0.1/17"))
    assert alice.detach("eth0").interface == "eth0"
    assert recorder.lines == ["link del eth0"]
    with pytest.raises(LabError, match="alice has no interface eth0"):
        alice.detach("eth0")


def host() -> Host:
    return Host("alice", Namespace("sm-test-alice", "sm-test", Path()))
