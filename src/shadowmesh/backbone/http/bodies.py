"""Bodies of requests and replies: CBOR, or its JSON twin."""

from __future__ import annotations

from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone_protocol.body import (
    CBOR_MEDIA_TYPE,
    COSE_MEDIA_TYPE,
    JSON_MEDIA_TYPE,
    Body,
    decode_cbor,
    decode_json,
    encode_cbor,
    encode_json,
)
from shadowmesh.backbone_protocol.problems import Problem

B = TypeVar("B", bound=Body)


async def read_body(request: Request, kind: type[B]) -> B:
    """Raises Refused (UNSUPPORTED_MEDIA_TYPE), DecodeError."""
    data = await request.body()
    match media_type(request):
        case "application/cbor":
            return decode_cbor(data, kind)
        case "application/json":
            return decode_json(data, kind)
    raise Refused(Problem.UNSUPPORTED_MEDIA_TYPE, f"{CBOR_MEDIA_TYPE} or {JSON_MEDIA_TYPE}")


async def read_cose(request: Request, *, max_bytes: int) -> bytes:
    """Raises Refused (UNSUPPORTED_MEDIA_TYPE, BODY_TOO_LARGE)."""
    if media_type(request) != COSE_MEDIA_TYPE:
        raise Refused(Problem.UNSUPPORTED_MEDIA_TYPE, COSE_MEDIA_TYPE)
    data = await request.body()
    if len(data) > max_bytes:
        raise Refused(Problem.BODY_TOO_LARGE, f"at most {max_bytes} bytes")
    return data


def reply(request: Request, body: Body) -> Response:
    """Never to be cached: a challenge is used once, a token is its owner's."""
    wanted = wanted_media_type(request)
    data = encode_cbor(body) if wanted == CBOR_MEDIA_TYPE else encode_json(body)
    return Response(data, headers={"Cache-Control": "no-store"}, media_type=wanted)


def wanted_media_type(request: Request) -> str:
    """By `Accept`, the first of ours that it names; else the request's own; else JSON, for people with curl."""
    for item in request.headers.get("accept", "").split(","):
        named = item.partition(";")[0].strip().lower()
        if named in (CBOR_MEDIA_TYPE, JSON_MEDIA_TYPE):
            return named
    return CBOR_MEDIA_TYPE if media_type(request) in (CBOR_MEDIA_TYPE, COSE_MEDIA_TYPE) else JSON_MEDIA_TYPE


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
