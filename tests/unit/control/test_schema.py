import json

import msgspec
import pytest

from shadowmesh.control import schema
from shadowmesh.control.schema import PingRequest, TrustRequest


def test_every_document_names_its_schema_first() -> None:
    for document in _documents():
        encoded = json.loads(msgspec.json.encode(document))
        assert next(iter(encoded.items())) == ("schema", "shadowmesh/1")
        assert msgspec.json.decode(msgspec.json.encode(document), type=type(document)) == document


def test_a_field_of_a_later_version_is_ignored() -> None:
    document = msgspec.json.decode(
        b'{"schema": "shadowmesh/1", "pid": 7, "colour": "green"}', type=schema.StoppingDocument
    )
    assert document.pid == 7


def test_another_schema_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"schema": "shadowmesh/2", "pid": 7}', type=schema.StoppingDocument)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (TrustRequest, b'{"fingerprint": "x", "nmae": "typo"}'),
        (TrustRequest, b'{"fingerprint": "x", "name": "' + b"n" * 64 + b'"}'),
        (PingRequest, b'{"peer": ""}'),
        (PingRequest, b'{"peer": "a", "timeout_s": 0}'),
        (PingRequest, b'{"peer": "a", "timeout_s": 61}'),
    ],
)
def test_a_request_out_of_bounds_is_refused(kind: type[msgspec.Struct], text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=kind)


def _documents() -> list[schema.Document]:
    return [
        schema.StoppingDocument(pid=1),
        schema.TrustListDocument(trusted=[]),
        schema.ErrorDocument(error=schema.Error(code="failed", problem="p", remedy="r")),
        schema.PingDocument(peer_id="a", path="b", rtt_s=None, connected_in_s=0.5),
    ]
