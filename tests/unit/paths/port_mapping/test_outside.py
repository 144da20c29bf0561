from ipaddress import ip_address

import pytest

from shadowmesh.paths.port_mapping.outside import is_no_address, why_unreachable


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("10.1.2.3", "RFC 1918"),
        ("172.31.255.255", "RFC 1918"),
        ("192.168.1.1", "RFC 1918"),
        ("100.64.0.1", "RFC 6598"),
        ("192.0.0.2", "RFC 7335"),
        ("169.254.1.1", "link-local"),
        ("fd00::1", "RFC 4193"),
        ("fe80::1", "link-local"),
    ],
)
def test_an_address_that_the_internet_does_not_route_is_behind_another_nat(address: str, what: str) -> None:
    assert what in why_unreachable(ip_address(address), [])


@pytest.mark.parametrize("address", ["11.18.0.1", "172.32.0.1", "100.128.0.1", "198.18.0.1", "2001:db8::1"])
def test_any_other_address_is_believed(address: str) -> None:
    assert why_unreachable(ip_address(address), []) == ""


def test_servers_that_see_another_address_tell_of_another_nat() -> None:
    outside, seen = ip_address("11.18.0.1"), ip_address("11.18.0.9")
    assert "the internet sees 11.18.0.9" in why_unreachable(outside, [seen])
    assert why_unreachable(outside, [seen, outside]) == ""
    assert why_unreachable(outside, [ip_address("2001:db8::1")]) == ""


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "224.0.0.1", "::", "::1", "ff02::1"])
def test_some_addresses_are_none(address: str) -> None:
    assert is_no_address(ip_address(address))
    assert not is_no_address(ip_address("11.18.0.1"))
