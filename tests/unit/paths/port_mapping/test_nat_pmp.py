"""The NAT-PMP codec against what miniupnpd 2.3.1 sends, and against garbage."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.paths.port_mapping.nat_pmp import (
    AddressRequest,
    AddressResponse,
    ErrorResponse,
    MapRequest,
    MapResponse,
    Response,
    ResultCode,
    decode_response,
)
from shadowmesh.wire.errors import DecodeError

FROM_MINIUPNPD = [
    ("00800000000000000b120001", AddressResponse(0, IPv4Address("11.18.0.1"))),
    ("0081000000000000a2a9a2a900000e10", MapResponse(0, 41641, 41641, 3600)),
    ("0081000000000002a2a9000000000000", MapResponse(2, 41641, 0, 0)),
]
UINT16, UINT32, PORTS = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(1, 2**16 - 1)
REQUESTS = st.builds(AddressRequest) | st.builds(MapRequest, PORTS, UINT16, UINT32)
RESPONSES = (
    st.builds(AddressResponse, UINT32, st.ip_addresses(v=4))
    | st.builds(MapResponse, UINT32, PORTS, PORTS, st.integers(1, 2**32 - 1))
    | st.builds(ErrorResponse, st.integers(0, 127), st.integers(1, 2**16 - 1), UINT32)
)


@pytest.mark.parametrize(("data", "response"), FROM_MINIUPNPD)
def test_what_miniupnpd_sends(data: str, response: Response) -> None:
    assert decode_response(bytes.fromhex(data)) == response
    assert response.encode().hex() == data


def test_the_requests_of_the_rfc() -> None:
    assert AddressRequest().encode().hex() == "0000"
    assert MapRequest(41641, 41642, 3600).encode().hex() == "00010000a2a9a2aa00000e10"


@given(REQUESTS)
def test_a_request_is_read_as_it_was_written(request: AddressRequest | MapRequest) -> None:
    assert type(request).decode(request.encode()) == request


@given(RESPONSES)
def test_a_response_is_read_as_it_was_written(response: Response) -> None:
    assert decode_response(response.encode()) == response


@given(RESPONSES, st.data())
def test_a_shorter_response_is_refused(response: Response, data: st.DataObject) -> None:
    encoded = response.encode()
    with pytest.raises(DecodeError):
        decode_response(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@given(st.binary(max_size=40))
def test_random_bytes_are_read_or_refused(data: bytes) -> None:
    for decode in (decode_response, AddressRequest.decode, MapRequest.decode):
        try:
            decode(data)
        except DecodeError:
            continue


@pytest.mark.parametrize(
    "data",
    [
        "",
        "00800000000000",  # 7 bytes
        "0080000000000001",  # success without an address
        "00800000000000010b12000100000000",  # an address response as long as a map response
        "0081000000000001a2a9a2a900000e1000",  # 17 bytes
        "01800000000000010b120001",  # version 1
        "00000000000000010b120001",  # a request
        "00820000000000010b120001",  # TCP
        "00810000000000010000a2a900000e10",  # internal port 0
        "0081000000000001a2a9000000000e10",  # a lifetime without an external port
    ],
)
def test_what_is_no_response_is_refused(data: str) -> None:
    with pytest.raises(DecodeError):
        decode_response(bytes.fromhex(data))


@pytest.mark.parametrize("data", ["", "00", "000000", "0100", "0001"])
def test_what_is_no_address_request_is_refused(data: str) -> None:
    with pytest.raises(DecodeError):
        AddressRequest.decode(bytes.fromhex(data))


@pytest.mark.parametrize("data", ["00010000a2a9a2aa00000e", "00020000a2a9a2aa00000e10", "000100000000a2aa00000e10"])
def test_what_is_no_map_request_is_refused(data: str) -> None:
    with pytest.raises(DecodeError):
        MapRequest.decode(bytes.fromhex(data))


@pytest.mark.parametrize("padding", [0, 4, 8])
def test_an_error_may_be_as_long_as_a_success(padding: int) -> None:
    error = ErrorResponse(1, ResultCode.NOT_AUTHORIZED, 7)
    assert decode_response(error.encode() + bytes(padding)) == error
