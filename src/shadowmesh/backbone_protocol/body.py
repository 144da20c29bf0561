"""A body and its two encodings."""

from typing import TypeVar

import msgspec

from shadowmesh.wire import cbor
from shadowmesh.wire.errors import DecodeError

CBOR_MEDIA_TYPE = "application/cbor"
JSON_MEDIA_TYPE = "application/json"
COSE_MEDIA_TYPE = "application/cose"
MAX_REQUEST_BYTES = 16 * 1024


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Field names are the keys of both encodings."""


B = TypeVar("B", bound=Body)


def encode_cbor(body: Body) -> bytes:
    return cbor.encode(msgspec.to_builtins(body, builtin_types=(bytes,)))


def decode_cbor(data: bytes, kind: type[B], *, max_bytes: int = MAX_REQUEST_BYTES) -> B:
    """Raises DecodeError."""
    fields = cbor.decode(data, max_bytes=max_bytes, what=kind.__name__)
    try:
        return msgspec.convert(fields, kind, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise DecodeError(f"{kind.__name__}: {error}") from None


def encode_json(body: Body) -> bytes:
    return msgspec.json.encode(body)


def decode_json(data: bytes, kind: type[B], *, max_bytes: int = MAX_REQUEST_BYTES) -> B:
    """Raises DecodeError."""
    if len(data) > max_bytes:
        raise DecodeError(f"{kind.__name__}: {len(data)} bytes, at most {max_bytes} allowed")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DecodeError(f"{kind.__name__}: {error}") from None
