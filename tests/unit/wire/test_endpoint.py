from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.wire.endpoint import ENDPOINT_BYTES, Endpoint
from shadowmesh.wire.errors import DecodeError

_ENDPOINTS = st.builds(Endpoint, st.ip_addresses(), st.integers(1, 65535))


@given(_ENDPOINTS)
def test_bytes_come_back_as_the_same_endpoint(endpoint: Endpoint) -> None:
    assert Endpoint.decode(endpoint.encode()) == endpoint


@given(_ENDPOINTS)
def test_text_comes_back_as_the_same_endpoint(endpoint: Endpoint) -> None:
    assert Endpoint.parse(str(endpoint)) == endpoint


@given(_ENDPOINTS)
def test_the_pair_leads_back_to_the_endpoint(endpoint: Endpoint) -> None:
    assert Endpoint.of(*endpoint.pair) == endpoint


@given(st.binary(min_size=ENDPOINT_BYTES, max_size=ENDPOINT_BYTES))
def test_any_eighteen_bytes_but_port_0_are_an_endpoint_of_just_these_bytes(data: bytes) -> None:
    if data[16:] == b"\0\0":
        with pytest.raises(DecodeError, match="port 0"):
            Endpoint.decode(data)
    else:
        assert Endpoint.decode(data).encode() == data


@pytest.mark.parametrize("length", [0, 1, 6, 17, 19, 36])
def test_another_length_is_refused(length: int) -> None:
    with pytest.raises(DecodeError, match="want 18"):
        Endpoint.decode(b"\1" * length)


def test_an_ipv4_address_travels_in_its_mapped_form() -> None:
    assert Endpoint.of("192.0.2.1", 41641).encode().hex() == "00000000000000000000ffffc0000201" + "a2a9"


def test_a_mapped_address_is_held_as_its_ipv4_address() -> None:
    assert Endpoint(IPv6Address("::ffff:192.0.2.1"), 1) == Endpoint(IPv4Address("192.0.2.1"), 1)


@pytest.mark.parametrize("port", [-1, 0, 65536])
def test_a_port_out_of_range_is_an_error_of_ours(port: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 65535"):
        Endpoint.of("192.0.2.1", port)


def test_an_address_with_a_scope_is_refused() -> None:
    with pytest.raises(ValueError, match="scope"):
        Endpoint.of("fe80::1%eth0", 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "192.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:0",
        "192.0.2.1:65536",
        "192.0.2.1:-1",
        "192.0.2.1:+1",
        "192.0.2.1: 1",
        "192.0.2.1:\u0661",
        "192.0.2.1:" + "9" * 5000,
        "example.org:1",
        "2001:db8::1",
        "[2001:db8::1]",
        "[192.0.2.1]:1",
        "[fe80::1%eth0]:1",
        "[2001:db8::1:1",
    ],
)
def test_text_that_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - ipaddress, int and our own code each say it in their words
        Endpoint.parse(text)


def test_an_ipv6_endpoint_is_written_in_brackets() -> None:
    assert str(Endpoint.of("2001:db8::1", 443)) == "[2001:db8::1]:443"
