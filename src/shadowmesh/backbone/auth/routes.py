"""/v1/auth: challenge, login, renew, revoke."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shadowmesh.backbone.auth.service import AuthService
from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.http.authorities import Authorities
from shadowmesh.backbone.http.bodies import read_body, reply
from shadowmesh.backbone.http.callers import Callers, client_address
from shadowmesh.backbone.http.openapi import operation, twin
from shadowmesh.backbone.metrics import Metrics
from shadowmesh.backbone.updates.presence import Presence
from shadowmesh.backbone_protocol.login import Challenge, LoginReply, LoginRequest, RenewalReply
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.identity.names import PeerID

_LOGIN_PROBLEMS = (
    Problem.NOT_CANONICAL,
    Problem.UNSUPPORTED_MEDIA_TYPE,
    Problem.CHALLENGE_FORGED,
    Problem.CHALLENGE_EXPIRED,
    Problem.CHALLENGE_REPLAYED,
    Problem.PUBLIC_KEY_NEEDED,
    Problem.WRONG_KEY,
    Problem.BAD_SIGNATURE,
)


def router(
    auth: AuthService, callers: Callers, authorities: Authorities, presence: Presence, metrics: Metrics
) -> APIRouter:
    routes = APIRouter(prefix="/v1/auth", tags=["auth"])

    @routes.get("/challenge", openapi_extra=operation(reply=twin(Challenge)))
    async def challenge(request: Request) -> Response:
        return reply(request, auth.challenge(client_address(request)))

    @routes.post(
        "/login", openapi_extra=operation(request=twin(LoginRequest), reply=twin(LoginReply), problems=_LOGIN_PROBLEMS)
    )
    async def login(request: Request) -> Response:
        body = await read_body(request, LoginRequest)
        try:
            answer = await auth.login(body, authorities.of(request), client_address(request))
        except Refused as refused:
            metrics.logins.labels(refused.problem.slug).inc()
            raise
        metrics.logins.labels("ok").inc()
        presence.seen(PeerID(body.peer_id))
        return reply(request, answer)

    @routes.post(
        "/renew", openapi_extra=operation(reply=twin(RenewalReply), problems=(Problem.RENEWAL_OVER,), proof=True)
    )
    async def renew(request: Request) -> Response:
        session = await callers.proven(request)
        try:
            answer = auth.renew(session, client_address(request))
        except Refused as refused:
            metrics.renewals.labels(refused.problem.slug).inc()
            raise
        metrics.renewals.labels("ok").inc()
        return reply(request, answer)

    @routes.post("/revoke", status_code=204, openapi_extra=operation(reply=None, proof=True, status="204"))
    async def revoke(request: Request) -> Response:
        await auth.revoke(await callers.proven(request))
        return Response(status_code=204)

    return routes
