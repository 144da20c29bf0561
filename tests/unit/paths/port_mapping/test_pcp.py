"""The PCP codec against what miniupnpd 2.3.1 sends, and against garbage."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.paths.port_mapping.pcp import (
    MAX_MESSAGE_BYTES,
    AnnounceResponse,
    ErrorResponse,
    MapRequest,
    MapResponse,
    Response,
    ResultCode,
    decode_response,
)
from shadowmesh.wire.errors import DecodeError

NONCE = bytes.fromhex("bd8c7e5bd1e2f59839abfc31")
REQUEST = MapRequest(IPv4Address("192.168.7.11"), NONCE, 41641, 41641, IPv4Address(0), 3600)
REQUEST_BYTES = bytes.fromhex(
    "02010000"
    "00000e10"
    "00000000000000000000ffffc0a8070b"
    "bd8c7e5bd1e2f59839abfc31"
    "11000000"
    "a2a9a2a9"
    "00000000000000000000ffff00000000"
)
RESPONSE = MapResponse(NONCE, 41641, 41641, IPv4Address("11.18.0.1"), 3600, 1)
RESPONSE_BYTES = bytes.fromhex(
    "02810000"
    "00000e10"
    "00000001"
    "000000000000000000000000"
    "bd8c7e5bd1e2f59839abfc31"
    "11000000"
    "a2a9a2a9"
    "00000000000000000000ffff0b120001"
)
ANNOUNCEMENT_BYTES = bytes.fromhex("028000000000000000000000" + "00" * 12)

UINT16, UINT32, PORTS = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(1, 2**16 - 1)
NONCES = st.binary(min_size=12, max_size=12)
ADDRESSES = st.ip_addresses().filter(lambda address: getattr(address, "ipv4_mapped", None) is None)
REQUESTS = st.builds(MapRequest, ADDRESSES, NONCES, PORTS, UINT16, ADDRESSES, UINT32)
RESPONSES = (
    st.builds(MapResponse, NONCES, PORTS, UINT16, ADDRESSES, UINT32, UINT32)
    | st.builds(AnnounceResponse, UINT32)
    | st.builds(ErrorResponse, st.just(1), st.integers(1, 255), UINT32, UINT32, st.none() | NONCES)
)


def test_what_miniupnpd_understands_and_sends() -> None:
    assert REQUEST.encode() == REQUEST_BYTES
    assert MapRequest.decode(REQUEST_BYTES) == REQUEST
    assert decode_response(RESPONSE_BYTES) == RESPONSE
    assert RESPONSE.encode() == RESPONSE_BYTES
    assert decode_response(ANNOUNCEMENT_BYTES) == AnnounceResponse(0)
    assert AnnounceResponse(0).encode() == ANNOUNCEMENT_BYTES


@given(REQUESTS)
def test_a_request_is_read_as_it_was_written(request: MapRequest) -> None:
    assert MapRequest.decode(request.encode()) == request


@given(RESPONSES)
def test_a_response_is_read_as_it_was_written(response: Response) -> None:
    assert decode_response(response.encode()) == response


@pytest.mark.parametrize("length", range(60))
def test_a_shorter_success_is_refused(length: int) -> None:
    with pytest.raises(DecodeError):
        decode_response(RESPONSE_BYTES[:length])
    with pytest.raises(DecodeError):
        MapRequest.decode(REQUEST_BYTES[:length])


@given(st.binary(max_size=MAX_MESSAGE_BYTES + 8))
def test_random_bytes_are_read_or_refused(data: bytes) -> None:
    for decode in (decode_response, MapRequest.decode):
        for prefix in (b"", b"\x02\x81\0\0", b"\x02\x01\0\0"):
            try:
                decode(prefix + data)
            except DecodeError:
                continue


@pytest.mark.parametrize(
    ("offset", "value"),
    [(0, 1), (0, 0), (1, 0x01), (1, 0x82), (36, 6), (36, 0)],
    ids=["version 1", "version 0", "a request", "PEER", "TCP", "all protocols"],
)
def test_what_is_no_response_to_us_is_refused(offset: int, value: int) -> None:
    with pytest.raises(DecodeError):
        decode_response(changed(RESPONSE_BYTES, offset, value))


@pytest.mark.parametrize(("offset", "value"), [(0, 1), (1, 0x81), (1, 0x00), (36, 6)])
def test_what_is_no_map_request_is_refused(offset: int, value: int) -> None:
    with pytest.raises(DecodeError):
        MapRequest.decode(changed(REQUEST_BYTES, offset, value))


def test_internal_port_zero_is_refused() -> None:
    with pytest.raises(DecodeError):
        decode_response(replace(RESPONSE, internal_port=0).encode())


def test_a_nonce_of_another_length_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="11 bytes, want 12"):
        replace(REQUEST, nonce=bytes(11)).encode()


def test_options_of_a_response_are_skipped() -> None:
    option = bytes.fromhex("80000003") + b"abc\0"
    assert decode_response(RESPONSE_BYTES + option + option) == RESPONSE
    assert decode_response(ANNOUNCEMENT_BYTES + option) == AnnounceResponse(0)


def test_a_request_with_options_is_refused() -> None:
    with pytest.raises(DecodeError, match="64 bytes, want 60"):
        MapRequest.decode(REQUEST_BYTES + bytes.fromhex("02000000"))


def test_an_option_that_goes_on_behind_the_end_is_refused() -> None:
    with pytest.raises(DecodeError, match="behind the end"):
        decode_response(RESPONSE_BYTES + bytes.fromhex("80000004"))


@pytest.mark.parametrize("length", [61, 62, 63, MAX_MESSAGE_BYTES + 4])
def test_a_length_that_pcp_does_not_have_is_refused(length: int) -> None:
    with pytest.raises(DecodeError):
        decode_response(RESPONSE_BYTES.ljust(length, b"\0"))


def test_an_error_may_be_a_header_alone() -> None:
    error = decode_response(changed(RESPONSE_BYTES, 3, ResultCode.UNSUPP_VERSION)[:24])
    assert error == ErrorResponse(1, ResultCode.UNSUPP_VERSION, 3600, 1)


def test_an_error_tells_which_mapping_was_refused() -> None:
    error = decode_response(changed(RESPONSE_BYTES, 3, ResultCode.NO_RESOURCES))
    assert error == ErrorResponse(1, ResultCode.NO_RESOURCES, 3600, 1, NONCE)


def test_an_ipv6_pinhole_has_whole_addresses() -> None:
    ours = IPv6Address("2001:db8::7")
    request = replace(REQUEST, client=ours, external_address=IPv6Address(0))
    assert request.encode()[8:24] == ours.packed
    assert MapRequest.decode(request.encode()) == request


def changed(data: bytes, offset: int, value: int) -> bytes:
    return data[:offset] + bytes([value]) + data[offset + 1 :]
