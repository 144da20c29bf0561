"""GET /v1/peers/{peer}: the hot path, so its reply is bytes that were encoded before."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.http.bodies import wanted_media_type
from shadowmesh.backbone.http.callers import Callers
from shadowmesh.backbone.http.openapi import operation, twin
from shadowmesh.backbone.metrics import Metrics
from shadowmesh.backbone.queries.service import Queries
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.queries import PeerReply

_PARAMETERS = (
    {
        "name": "peer",
        "in": "path",
        "required": True,
        "description": "PeerID or fingerprint: its text form, or 40 or 64 hex digits",
        "schema": {"type": "string", "minLength": 40, "maxLength": 64, "pattern": "^[0-9A-Za-z]+$"},
    },
    {
        "name": "have",
        "in": "query",
        "description": "The first 8 bytes of the record-id that the caller holds, in hex",
        "schema": {"type": "string", "pattern": "^[0-9a-fA-F]{16}$"},
    },
)


def router(queries: Queries, callers: Callers, metrics: Metrics) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["peers"])
    hit = metrics.lookups.labels("hit")

    @routes.get(
        "/peers/{peer}",
        openapi_extra=operation(
            reply=twin(PeerReply), problems=(Problem.PEER_UNKNOWN,), parameters=_PARAMETERS, bearer=True
        ),
    )
    async def look_up(request: Request) -> Response:
        session = callers.bearer(request)
        media_type = wanted_media_type(request)
        have = request.query_params.get("have", "")
        try:
            reply = await queries.look_up(session.peer, request.path_params["peer"], have, media_type)
        except Refused as refused:
            miss = refused.problem is Problem.PEER_UNKNOWN
            metrics.lookups.labels("miss" if miss else refused.problem.slug).inc()
            raise
        hit.inc()
        return Response(reply, media_type=media_type)

    return routes
