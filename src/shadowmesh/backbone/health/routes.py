"""/v1/health for clients that choose a region and for load balancers, /metrics for the operator."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.health.service import Health, HealthReply, LiveReply
from shadowmesh.backbone.http.bodies import reply
from shadowmesh.backbone.http.callers import client_address
from shadowmesh.backbone.http.openapi import operation, twin
from shadowmesh.backbone.limits.addresses import Network
from shadowmesh.backbone.metrics import METRICS_MEDIA_TYPE, Metrics
from shadowmesh.backbone_protocol.problems import Problem


def router(health: Health, metrics: Metrics, metrics_from: Sequence[Network]) -> APIRouter:
    routes = APIRouter(tags=["health"])

    @routes.get("/v1/health", openapi_extra=operation(reply=twin(HealthReply)))
    async def overview(request: Request) -> Response:
        return reply(request, health.overview(client_address(request)))

    @routes.get("/v1/health/live", openapi_extra=operation(reply=twin(LiveReply)))
    async def live(request: Request) -> Response:
        return reply(request, LiveReply("live"))

    @routes.get("/v1/health/ready", openapi_extra=operation(reply=twin(LiveReply)))
    async def ready(request: Request) -> Response:
        await health.check_ready()
        return reply(request, LiveReply("ready"))

    @routes.get("/metrics", include_in_schema=False)
    async def scrape(request: Request) -> Response:
        address = client_address(request).address
        # A proxy on this machine that nobody told us of connects from loopback as well, but names its client.
        loopback = address.is_loopback and "x-forwarded-for" not in request.headers
        if not loopback and not any(
            address in network for network in metrics_from if network.version == address.version
        ):
            raise Refused(Problem.NOT_FOUND)
        return Response(metrics.text(), media_type=METRICS_MEDIA_TYPE)

    return routes
