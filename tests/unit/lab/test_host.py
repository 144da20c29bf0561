from ipaddress import IPv4Address, IPv6Address, ip_interface
from pathlib import Path

import pytest

from shadowmesh.lab.errors import LabError
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


def host() -> Host:
    return Host("alice", Namespace("sm-test-alice", "sm-test", Path()))
