"""The HTTP application: every feature's routes over one set of services."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp

from shadowmesh.backbone.auth import routes as auth_routes
from shadowmesh.backbone.directory import routes as directory_routes
from shadowmesh.backbone.health import routes as health_routes
from shadowmesh.backbone.http import openapi, problems
from shadowmesh.backbone.http.authorities import Authorities
from shadowmesh.backbone.http.request_limits import RequestLimits
from shadowmesh.backbone.limits.addresses import AddressResolver
from shadowmesh.backbone.queries import routes as query_routes
from shadowmesh.backbone.registry import routes as registry_routes
from shadowmesh.backbone.services import Services
from shadowmesh.backbone.updates import routes as update_routes

_DESCRIPTION = "Bodies are CBOR with a JSON twin of the same names. Errors are RFC 9457 problem details."


def create_app(services: Services) -> ASGIApp:
    # No pages of documentation: they would load scripts from elsewhere.
    app = FastAPI(
        title="ShadowMesh backbone",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    metrics, callers = services.metrics, services.callers
    authorities = Authorities(services.config.urls)
    # Routes are tried in this order: the busiest first.
    app.include_router(query_routes.router(services.queries, callers, metrics))
    app.include_router(auth_routes.router(services.auth, callers, authorities, services.presence, metrics))
    app.include_router(registry_routes.router(services.registry, callers, metrics))
    app.include_router(directory_routes.router(services.directory))
    app.include_router(update_routes.router(services.updates, callers, metrics, services.clock))
    app.include_router(health_routes.router(services.health, metrics, services.config.metrics_from))
    problems.install(app, metrics)
    openapi.install(app)
    config = services.config
    return RequestLimits(
        app,
        addresses=AddressResolver(proxies=config.behind_proxies, unlimited=config.unlimited_from),
        metrics=metrics,
        rates=config.rates,
        clock=services.clock,
        body_time_s=config.body_time_s,
        handling_time_s=config.handling_time_s,
    )
