"""The state file: `SavedState` without its records, as versioned JSON. Spec: docs/spec/control.md, section 6."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

import msgspec

from shadowmesh.control.schema import MAX_NAME_LENGTH, NOT_UNDERSTOOD
from shadowmesh.identity.names import Fingerprint
from shadowmesh.mesh.state import SavedState, TrustedPeer
from shadowmesh.records.cache_entry import CacheEntry
from shadowmesh.wire.errors import DecodeError

MAX_STATE_BYTES = 4 * 1024 * 1024
"""A directory of 64 backbone nodes is 0.6 MB in base64, a thousand trusted peers 0.1 MB."""


class _Trusted(msgspec.Struct, forbid_unknown_fields=True):
    fingerprint: str
    name: Annotated[str, msgspec.Meta(max_length=MAX_NAME_LENGTH)] = ""


class _State(msgspec.Struct, forbid_unknown_fields=True):
    format: Literal["shadowmesh-state-1"]
    record_sequence: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    trusted: list[_Trusted]
    cache: list[str]
    directory: str


def encode(state: SavedState) -> bytes:
    document = _State(
        format="shadowmesh-state-1",
        record_sequence=state.record_sequence,
        trusted=[_Trusted(str(peer.fingerprint), peer.name) for peer in state.trusted],
        cache=[_text(entry.encode()) for entry in state.cache],
        directory=_text(state.directory),
    )
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def decode(data: bytes) -> SavedState:
    """`records` stays empty: they are files of their own. Raises DecodeError."""
    if len(data) > MAX_STATE_BYTES:
        raise DecodeError(f"state file: more than {MAX_STATE_BYTES} bytes")
    try:
        document = msgspec.json.decode(data, type=_State)
    except NOT_UNDERSTOOD as error:
        raise DecodeError(f"state file: {error}") from None
    return SavedState(
        trusted=tuple(TrustedPeer(Fingerprint.parse(peer.fingerprint), peer.name) for peer in document.trusted),
        cache=tuple(CacheEntry.decode(_bytes(entry)) for entry in document.cache),
        record_sequence=document.record_sequence,
        directory=_bytes(document.directory),
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise DecodeError("state file: not base64") from None
