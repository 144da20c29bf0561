"""Messages on the WebSocket `/v1/updates`: one CBOR array in a binary frame. Spec: docs/spec/backbone.md, section 6.

A call brings two peers' addresses together: PRIVATE nodes publish none, and give theirs only to peers that they trust.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec

from shadowmesh.backbone_protocol.login import Bytes16, Bytes20, Bytes32
from shadowmesh.records.hints import MAX_HINT_ENDPOINTS, MAX_HINTS_BYTES
from shadowmesh.wire import cbor
from shadowmesh.wire.endpoint import ENDPOINT_BYTES
from shadowmesh.wire.errors import DecodeError

MAX_MESSAGE_BYTES = 4096
MAX_SUBSCRIPTIONS = 128  # the local cache holds 100 peers
MAX_CALL_CANDIDATES = 8
CANDIDATE_BYTES = 1 + ENDPOINT_BYTES
NAT_BEHAVIOUR_BYTES = 8

EndpointBytes = Annotated[bytes, msgspec.Meta(min_length=ENDPOINT_BYTES, max_length=ENDPOINT_BYTES)]
Endpoints = Annotated[list[EndpointBytes], msgspec.Meta(max_length=MAX_HINT_ENDPOINTS)]
CandidateBytes = Annotated[bytes, msgspec.Meta(min_length=CANDIDATE_BYTES, max_length=CANDIDATE_BYTES)]
Candidates = Annotated[list[CandidateBytes], msgspec.Meta(max_length=MAX_CALL_CANDIDATES)]
NatBytes = Annotated[bytes, msgspec.Meta(min_length=NAT_BEHAVIOUR_BYTES, max_length=NAT_BEHAVIOUR_BYTES)]
PeerIDs = Annotated[list[Bytes20], msgspec.Meta(max_length=MAX_SUBSCRIPTIONS)]
HintsBytes = Annotated[bytes, msgspec.Meta(max_length=MAX_HINTS_BYTES)]


class _Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    pass


class Subscribe(_Message, frozen=True, tag="subscribe"):
    """Client: tell me of these peers, in addition to the ones before. Each is answered by an Update if it is known."""

    peers: PeerIDs


class Unsubscribe(_Message, frozen=True, tag="unsubscribe"):
    peers: PeerIDs


class SetHints(_Message, frozen=True, tag="hints"):
    """Client: where I can be reached now. A PRIVATE node sends no endpoints."""

    endpoints: Endpoints


class Call(_Message, frozen=True, tag="call"):
    """Client: pass this on to `peer`. Server: `peer` sends you this."""

    peer: Bytes20
    token: Bytes16  # chosen by the first caller and returned in the answer
    answer: bool
    candidates: Candidates  # paths, section 2
    nat: NatBytes  # paths, section 4


class Update(_Message, frozen=True, tag="update"):
    """Server: record or hints of a peer changed. The record itself is fetched by a look-up."""

    peer: Bytes20
    record_id: Bytes32
    hints: HintsBytes


class DirectoryChanged(_Message, frozen=True, tag="directory"):
    """Server: there is a new directory; it is fetched from `/v1/directory`."""

    version: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class CallFailed(_Message, frozen=True, tag="call-failed"):
    """Server: `peer` is not connected here, or a limit was reached."""

    peer: Bytes20
    token: Bytes16
    reason: str


class Refused(_Message, frozen=True, tag="refused"):
    """Server: your last message was refused; `problem` is a `problems.Problem` name."""

    problem: str
    detail: str


ClientMessage: TypeAlias = Subscribe | Unsubscribe | SetHints | Call
ServerMessage: TypeAlias = Update | Call | CallFailed | DirectoryChanged | Refused


def encode(message: ClientMessage | ServerMessage) -> bytes:
    return cbor.encode(msgspec.to_builtins(message, builtin_types=(bytes,)))


def decode_client_message(data: bytes) -> ClientMessage:
    """Raises DecodeError."""
    try:
        message: ClientMessage = msgspec.convert(_array(data), ClientMessage, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise DecodeError(f"update message: {error}") from None
    return message


def decode_server_message(data: bytes) -> ServerMessage:
    """Raises DecodeError."""
    try:
        message: ServerMessage = msgspec.convert(_array(data), ServerMessage, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise DecodeError(f"update message: {error}") from None
    return message


def _array(data: bytes) -> Any:
    return cbor.decode(data, max_bytes=MAX_MESSAGE_BYTES, what="update message")
