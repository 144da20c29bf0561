import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.paths.port_mapping.ssdp import GATEWAY_TYPES, MAX_MESSAGE_BYTES, Search, SearchResponse
from shadowmesh.wire.errors import DecodeError

# What miniupnpd 2.3.1 answers.
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
    b"USN: uuid:aec755a5-d94d-4284-a5f1-1ab8fd59149c::urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nEXT:\r\n"
    b"SERVER: Debian/6.18 UPnP/1.1 MiniUPnPd/2.3.1\r\nLOCATION: http://192.168.7.1:37417/rootDesc.xml\r\n"
    b'OPT: "http://schemas.upnp.org/upnp/1/0/"; ns=01\r\n01-NLS: 1795790122\r\nBOOTID.UPNP.ORG: 1795790122\r\n\r\n'
)


def test_a_search_has_the_lines_of_the_standard() -> None:
    assert Search(GATEWAY_TYPES[0]).encode() == (
        b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\n'
        b"ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n"
    )


def test_the_answer_of_miniupnpd_is_read() -> None:
    assert SearchResponse.decode(RESPONSE) == SearchResponse("http://192.168.7.1:37417/rootDesc.xml", GATEWAY_TYPES[0])


def test_an_answer_is_read_as_it_was_written() -> None:
    response = SearchResponse("http://192.168.7.1/d.xml", GATEWAY_TYPES[1])
    assert SearchResponse.decode(response.encode()) == response


@pytest.mark.parametrize(
    "data",
    [
        b"",
        RESPONSE.replace(b"200 OK", b"404 Not Found"),
        RESPONSE.replace(b"LOCATION", b"PLACE"),
        RESPONSE.replace(b"ST:", b"NT:"),
        RESPONSE.replace(b"HTTP/1.1 200 OK", b"NOTIFY * HTTP/1.1"),
        RESPONSE.replace(b"EXT:", b"EXT: \xff"),
        RESPONSE.ljust(MAX_MESSAGE_BYTES + 1, b" "),
    ],
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        SearchResponse.decode(data)


@given(st.binary(max_size=200))
def test_random_bytes_are_read_or_refused(data: bytes) -> None:
    for prefix in (b"", RESPONSE[:60]):
        try:
            SearchResponse.decode(prefix + data)
        except DecodeError:
            continue
