"""What the routes' OpenAPI says: their bodies are decoded by us, so FastAPI cannot know them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from shadowmesh.backbone.health.service import HealthReply, LiveReply
from shadowmesh.backbone_protocol.body import CBOR_MEDIA_TYPE, JSON_MEDIA_TYPE, Body
from shadowmesh.backbone_protocol.login import Challenge, LoginReply, LoginRequest, RenewalReply
from shadowmesh.backbone_protocol.problems import PROBLEM_MEDIA_TYPE, Problem
from shadowmesh.backbone_protocol.proof import PROOF_HEADER
from shadowmesh.backbone_protocol.queries import ErrorReply, PeerReply, PublishReply

_BODIES: tuple[type[Body], ...] = (
    Challenge,
    LoginRequest,
    LoginReply,
    RenewalReply,
    PeerReply,
    PublishReply,
    ErrorReply,
    HealthReply,
    LiveReply,
)
_TEMPLATE = "#/components/schemas/{name}"
_EVERYWHERE = (
    Problem.MALFORMED,
    Problem.TIMED_OUT,
    Problem.BODY_TOO_LARGE,
    Problem.RATE_LIMITED,
    Problem.OVERLOADED,
    Problem.INTERNAL,
)
_BEARER = (Problem.TOKEN_MISSING, Problem.TOKEN_INVALID, Problem.TOKEN_EXPIRED)
_PROOF = (Problem.PROOF_MISSING, Problem.PROOF_INVALID, Problem.PROOF_REPLAYED)


def twin(kind: type[Body]) -> dict[str, Any]:
    """The content of a body that is CBOR or JSON."""
    schema = {"$ref": _TEMPLATE.format(name=kind.__name__)}
    return {JSON_MEDIA_TYPE: {"schema": schema}, CBOR_MEDIA_TYPE: {"schema": schema}}


def binary(media_type: str) -> dict[str, Any]:
    return {media_type: {"schema": {"type": "string", "format": "binary"}}}


def operation(
    *,
    reply: dict[str, Any] | None,
    request: dict[str, Any] | None = None,
    problems: Sequence[Problem] = (),
    parameters: Sequence[dict[str, Any]] = (),
    bearer: bool = False,
    proof: bool = False,
    status: str = "200",
) -> dict[str, Any]:
    """For a route's `openapi_extra`."""
    answer: dict[str, Any] = {"description": "Success"}
    if reply is not None:
        answer["content"] = reply
    refusals = (*_EVERYWHERE, *problems, *(_BEARER if bearer or proof else ()), *(_PROOF if proof else ()))
    extra: dict[str, Any] = {"responses": {status: answer, **_problem_responses(refusals)}}
    if request is not None:
        extra["requestBody"] = {"required": True, "content": request}
    if bearer or proof:
        extra["security"] = [{"bearer": [], "proof": []} if proof else {"bearer": []}]
    if parameters:
        extra["parameters"] = list(parameters)
    return extra


def install(app: FastAPI) -> None:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    _, schemas = msgspec.json.schema_components(_BODIES, ref_template=_TEMPLATE)
    document["components"] = {
        "schemas": schemas,
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "proof": {"type": "apiKey", "in": "header", "name": PROOF_HEADER},
        },
    }
    return document


def _problem_responses(problems: Sequence[Problem]) -> dict[str, Any]:
    texts: dict[str, list[str]] = {}
    for problem in problems:
        texts.setdefault(str(problem.status), []).append(problem.slug)
    content = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": _TEMPLATE.format(name=ErrorReply.__name__)}}}
    return {
        status: {"description": ", ".join(dict.fromkeys(slugs)), "content": content}
        for status, slugs in sorted(texts.items())
    }
