from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.backbone_protocol import updates
from shadowmesh.backbone_protocol.updates import (
    MAX_MESSAGE_BYTES,
    Call,
    CallFailed,
    ClientMessage,
    Refused,
    ServerMessage,
    SetHints,
    Subscribe,
    Unsubscribe,
    Update,
)
from shadowmesh.wire import cbor
from shadowmesh.wire.errors import DecodeError

_PEER = st.binary(min_size=20, max_size=20)
_TOKEN = st.binary(min_size=16, max_size=16)
_ENDPOINTS = st.lists(st.binary(min_size=18, max_size=18), max_size=4)
_CANDIDATES = st.lists(st.binary(min_size=19, max_size=19), max_size=8)
_NAT = st.binary(min_size=8, max_size=8)
_CALLS = st.builds(Call, peer=_PEER, token=_TOKEN, answer=st.booleans(), candidates=_CANDIDATES, nat=_NAT)
_CLIENT = (
    st.builds(Subscribe, peers=st.lists(_PEER, max_size=128))
    | st.builds(Unsubscribe, peers=st.lists(_PEER, max_size=128))
    | st.builds(SetHints, endpoints=_ENDPOINTS)
    | _CALLS
)
_SERVER = (
    st.builds(Update, peer=_PEER, record_id=st.binary(min_size=32, max_size=32), hints=st.binary(max_size=200))
    | _CALLS
    | st.builds(CallFailed, peer=_PEER, token=_TOKEN, reason=st.text(max_size=50))
    | st.builds(Refused, problem=st.text(max_size=50), detail=st.text(max_size=50))
)


@given(_CLIENT)
def test_a_clients_message_comes_back(message: ClientMessage) -> None:
    assert updates.decode_client_message(updates.encode(message)) == message


@given(_SERVER)
def test_a_servers_message_comes_back(message: ServerMessage) -> None:
    assert updates.decode_server_message(updates.encode(message)) == message


def test_a_message_is_an_array_that_begins_with_its_name() -> None:
    encoded = updates.encode(Call(bytes(20), bytes(16), True, [b"\1" * 19], bytes(8)))
    assert decoded(encoded) == ["call", bytes(20), bytes(16), True, [b"\1" * 19], bytes(8)]


def test_the_largest_subscription_fits() -> None:
    assert len(updates.encode(Subscribe(peers=[bytes(20)] * 128))) < MAX_MESSAGE_BYTES


@pytest.mark.parametrize("message", [Update(bytes(20), bytes(32), b""), CallFailed(bytes(20), bytes(16), "")])
def test_a_client_cannot_send_what_only_servers_say(message: ServerMessage) -> None:
    with pytest.raises(DecodeError):
        updates.decode_client_message(updates.encode(message))


@pytest.mark.parametrize("message", [Subscribe(peers=[]), SetHints(endpoints=[])])
def test_a_server_cannot_send_what_only_clients_say(message: ClientMessage) -> None:
    with pytest.raises(DecodeError):
        updates.decode_server_message(updates.encode(message))


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        ["subscribe"],
        ["subscribe", None],
        ["subscribe", [bytes(19)]],
        ["subscribe", ["A" * 28]],
        ["subscribe", [bytes(20)] * 129],
        ["subscribe", [], "more"],
        ["hints", [b"\1" * 18] * 9],
        ["hints", [b"\1" * 17]],
        ["call", bytes(20), bytes(16), 1, []],
        ["call", bytes(20), bytes(15), True, []],
        ["unknown", 1],
        [1, 2],
        {"type": "subscribe", "peers": []},
    ],
)
def test_what_is_no_message_of_a_client_is_refused(value: Any) -> None:
    with pytest.raises(DecodeError):
        updates.decode_client_message(cbor.encode(value))


def test_a_long_message_is_refused() -> None:
    with pytest.raises(DecodeError, match="at most 4096 allowed"):
        updates.decode_server_message(cbor.encode(["refused", "", "x" * 4096]))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        updates.decode_client_message(data)
    with pytest.raises(DecodeError):
        updates.decode_server_message(data)


@given(_CLIENT)
def test_every_truncation_is_refused(message: ClientMessage) -> None:
    encoded = updates.encode(message)
    for length in range(0, len(encoded), max(1, len(encoded) // 50)):
        with pytest.raises(DecodeError):
            updates.decode_client_message(encoded[:length])


def decoded(data: bytes) -> Any:
    return cbor.decode(data, max_bytes=MAX_MESSAGE_BYTES, what="test")
