"""POST /v1/records: a peer publishes its own record."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.http.bodies import read_cose, reply
from shadowmesh.backbone.http.callers import Callers, client_address
from shadowmesh.backbone.http.openapi import binary, operation, twin
from shadowmesh.backbone.metrics import Metrics
from shadowmesh.backbone.registry.service import Registry
from shadowmesh.backbone_protocol.body import COSE_MEDIA_TYPE
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.queries import PublishReply
from shadowmesh.records.peer_record import MAX_RECORD_BYTES

_PROBLEMS = (
    Problem.NOT_CANONICAL,
    Problem.UNSUPPORTED_MEDIA_TYPE,
    Problem.BAD_SIGNATURE,
    Problem.RECORD_FOR_ANOTHER_PEER,
    Problem.RECORD_STALE,
    Problem.RECORD_EQUIVOCATION,
    Problem.RECORD_FROM_THE_FUTURE,
    Problem.RECORD_EXPIRED,
)


def router(registry: Registry, callers: Callers, metrics: Metrics) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["records"])

    @routes.post(
        "/records",
        openapi_extra=operation(
            request=binary(COSE_MEDIA_TYPE), reply=twin(PublishReply), problems=_PROBLEMS, proof=True
        ),
    )
    async def publish(request: Request) -> Response:
        session = await callers.proven(request)
        encoded = await read_cose(request, max_bytes=MAX_RECORD_BYTES)
        try:
            record = await registry.publish(encoded, session.peer, client_address(request))
        except Refused as refused:
            metrics.publishes.labels(refused.problem.slug).inc()
            raise
        metrics.publishes.labels("ok").inc()
        return reply(request, PublishReply(record.record_id))

    return routes
