"""A node's description of itself."""

import json

import pytest

from shadowmesh.backbone.directory import description
from shadowmesh.identity.keys import Identity
from shadowmesh.records.directory import BackboneNode
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError

IDENTITY = Identity(b"1" * 32)
NODE = BackboneNode(IDENTITY.public, 3, "https://eu.test", (Endpoint.of("192.0.2.1", 3478),))


def test_a_description_comes_back() -> None:
    assert description.decode(description.encode(NODE, IDENTITY)) == NODE


@pytest.mark.parametrize(("field", "value"), [("url", "https://evil.test"), ("region", "africa"), ("stun", [])])
def test_a_changed_description_is_refused(field: str, value: object) -> None:
    document = json.loads(description.encode(NODE, IDENTITY)) | {field: value}
    with pytest.raises(DecodeError, match="not signed"):
        description.decode(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b" " * 20_000])
def test_what_is_no_description_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError, match="node description"):
        description.decode(data)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://EU.Test", "eu.test"),
        ("https://eu.test:443", "eu.test"),
        ("https://eu.test:8443/", "eu.test:8443"),
        ("http://127.0.0.1:80", "127.0.0.1"),
        ("http://[::1]:8443", "[::1]:8443"),
    ],
)
def test_the_authority_of_a_url(url: str, authority: str) -> None:
    assert description.authority(description.parse_url(url)) == authority


@pytest.mark.parametrize(
    "url",
    [
        "",
        "eu.test",
        "ftp://eu.test",
        "https://",
        "https://eu.test/path",
        "https://eu.test?x",
        "https://u@eu.test",
        "https://eu.test:99999",
        "https://" + "x" * 200,
        "https://ü.test",
    ],
)
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        description.parse_url(url)
