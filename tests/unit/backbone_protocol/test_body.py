import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.backbone_protocol import body
from shadowmesh.backbone_protocol.login import Challenge
from shadowmesh.backbone_protocol.queries import ErrorReply, PeerReply
from shadowmesh.wire import cbor
from shadowmesh.wire.errors import DecodeError, NotCanonical

_CHALLENGE = Challenge(challenge=bytes(32), expires=7, tag=bytes(16), server=bytes(20))
_CHALLENGES = st.builds(
    Challenge,
    challenge=st.binary(min_size=32, max_size=32),
    expires=st.integers(0, 2**40 - 1),
    tag=st.binary(min_size=16, max_size=16),
    server=st.binary(min_size=20, max_size=20),
)


@given(_CHALLENGES)
def test_a_body_comes_back_from_cbor(challenge: Challenge) -> None:
    assert body.decode_cbor(body.encode_cbor(challenge), Challenge) == challenge


@given(_CHALLENGES)
def test_a_body_comes_back_from_json(challenge: Challenge) -> None:
    assert body.decode_json(body.encode_json(challenge), Challenge) == challenge


def test_cbor_has_the_field_names_as_keys_and_bytes_as_bytes() -> None:
    fields = cbor.decode(body.encode_cbor(_CHALLENGE), max_bytes=999, what="test")
    assert fields == {"challenge": bytes(32), "expires": 7, "tag": bytes(16), "server": bytes(20)}


def test_json_has_the_field_names_as_keys_and_bytes_as_base64() -> None:
    fields = json.loads(body.encode_json(_CHALLENGE))
    assert fields["tag"] == base64.b64encode(bytes(16)).decode()


def test_a_field_left_at_its_default_is_left_out() -> None:
    reply = PeerReply(record_id=bytes(32), hints=b"")
    assert b"record" not in body.encode_json(reply).replace(b"record_id", b"")


@pytest.mark.parametrize(
    "change",
    [
        {"expires": -1},
        {"expires": 2**40},
        {"expires": True},
        {"expires": "7"},
        {"tag": bytes(15)},
        {"tag": bytes(17)},
        {"tag": base64.b64encode(bytes(16)).decode()},
        {"tag": None},
        {"more": 1},
        {7: 1},
    ],
)
def test_a_field_of_another_type_or_size_and_an_unknown_one_are_refused(change: dict[Any, Any]) -> None:
    fields = {"challenge": bytes(32), "expires": 7, "tag": bytes(16), "server": bytes(20)}
    with pytest.raises(DecodeError):
        body.decode_cbor(cbor.encode(fields | change), Challenge)


def test_a_missing_field_is_refused() -> None:
    with pytest.raises(DecodeError):
        body.decode_cbor(cbor.encode({"challenge": bytes(32)}), Challenge)


def test_cbor_in_another_form_is_named_as_that() -> None:
    with pytest.raises(NotCanonical):
        body.decode_cbor(b"\xbf\xff", Challenge)


@pytest.mark.parametrize("decode", [body.decode_cbor, body.decode_json])
def test_a_long_body_is_refused_before_it_is_read(decode: Any) -> None:
    with pytest.raises(DecodeError, match="at most 16384 allowed"):
        decode(bytes(16385), Challenge)
    with pytest.raises(DecodeError, match="at most 10 allowed"):
        decode(bytes(11), Challenge, max_bytes=10)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[" * 16000,
        b'{"type":' + b"[" * 16000,
        b'{"x":' * 3000,
        b'{"type":"\xff","title":"","status":1}',
        b'{"type":"\\ud800","title":"","status":1}',
        b'{"type":"","title":"","status":1e999}',
        b'{"type":"","title":"","status":NaN}',
        b'{"type":"","title":"","status":' + b"9" * 5000 + b"}",
    ],
)
def test_json_that_is_not_a_body_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        body.decode_json(data, ErrorReply)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        body.decode_cbor(data, Challenge)
    with pytest.raises(DecodeError):
        body.decode_json(data, Challenge)


@given(_CHALLENGES)
def test_every_truncation_is_refused(challenge: Challenge) -> None:
    as_cbor, as_json = body.encode_cbor(challenge), body.encode_json(challenge)
    for length in range(len(as_cbor)):
        with pytest.raises(DecodeError):
            body.decode_cbor(as_cbor[:length], Challenge)
    for length in range(len(as_json)):
        with pytest.raises(DecodeError):
            body.decode_json(as_json[:length], Challenge)
