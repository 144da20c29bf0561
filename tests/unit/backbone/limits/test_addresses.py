"""Whose address counts, behind proxies and without them."""

from ipaddress import ip_address, ip_network

import pytest

from shadowmesh.backbone.limits.addresses import AddressResolver, ClientAddress

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("192.0.2.1", "c0000201"),
        ("::ffff:192.0.2.1", "c0000201"),
        ("2001:db8:1:2ff:3::4", "20010db8000102"),
    ],
)
def test_an_address_counts_as_its_household(text: str, key: str) -> None:
    assert ClientAddress.of(ip_address(text)).key.hex() == key


def test_without_proxies_the_header_is_a_lie() -> None:
    assert str(AddressResolver().resolve("192.0.2.1", b"198.51.100.1").address) == "192.0.2.1"


@pytest.mark.parametrize(
    ("host", "header", "seen"),
    [
        ("10.0.0.1", b"198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", b"203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", b"198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", b"", "10.0.0.1"),
        ("10.0.0.1", b"nonsense", "10.0.0.1"),
        ("10.0.0.1", b"\xff\xfe", "10.0.0.1"),
        ("fd00::1", b"2001:db8::1", "2001:db8::1"),
        ("192.0.2.1", b"198.51.100.1", "192.0.2.1"),
        ("192.0.2.1", b"10.0.0.1", "192.0.2.1"),
    ],
)
def test_a_header_is_believed_as_far_as_the_proxies_go(host: str, header: bytes, seen: str) -> None:
    assert str(AddressResolver(proxies=PROXIES).resolve(host, header).address) == seen


def test_the_operators_networks_are_marked() -> None:
    resolver = AddressResolver(unlimited=[ip_network("127.0.0.0/8")])
    assert resolver.resolve("127.0.0.1").unlimited
    assert not resolver.resolve("192.0.2.1").unlimited
