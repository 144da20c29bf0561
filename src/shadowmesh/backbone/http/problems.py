"""The one place where errors become HTTP (RFC 9457)."""

from __future__ import annotations

import logging

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.metrics import Metrics
from shadowmesh.backbone_protocol.body import encode_json
from shadowmesh.backbone_protocol.problems import PROBLEM_MEDIA_TYPE, Problem
from shadowmesh.backbone_protocol.queries import ErrorReply
from shadowmesh.wire.errors import DecodeError, NotCanonical

_LOG = logging.getLogger(__name__)
_BEARER_PROBLEMS = {Problem.TOKEN_MISSING, Problem.TOKEN_INVALID, Problem.TOKEN_EXPIRED}
_BY_STATUS = {404: Problem.NOT_FOUND, 405: Problem.METHOD_NOT_ALLOWED}


def refusal(error: Exception) -> Refused:
    """What the client is told of any error that a route raises."""
    match error:
        case Refused():
            return error
        case NotCanonical():
            return Refused(Problem.NOT_CANONICAL, str(error))
        case DecodeError():
            return Refused(Problem.MALFORMED, str(error))
        case HTTPException(status_code=status) if status in _BY_STATUS:
            return Refused(_BY_STATUS[status])
        case HTTPException():
            return Refused(Problem.MALFORMED, error.detail)
        case TimeoutError():
            return Refused(Problem.TIMED_OUT)
    _LOG.error("a request failed", exc_info=error)
    return Refused(Problem.INTERNAL)


def problem_response(refused: Refused) -> Response:
    problem = refused.problem
    reply = ErrorReply(problem.urn, problem.title, problem.status, refused.detail)
    headers = {"Cache-Control": "no-store"}
    if refused.retry_after_s is not None:
        headers["Retry-After"] = str(refused.retry_after_s)
    if problem in _BEARER_PROBLEMS:
        headers["WWW-Authenticate"] = "Bearer"
    if problem in (Problem.BODY_TOO_LARGE, Problem.TIMED_OUT):
        headers["Connection"] = "close"  # the rest of the body is still on its way
    return Response(encode_json(reply), problem.status, headers, PROBLEM_MEDIA_TYPE)


def install(app: FastAPI, metrics: Metrics) -> None:
    async def answer(_request: Request, error: Exception) -> Response:
        refused = refusal(error)
        metrics.refusals.labels(refused.problem.slug).inc()
        response = problem_response(refused)
        if isinstance(error, HTTPException) and error.headers:
            response.headers.update(error.headers)  # Allow, of a 405
        return response

    for kind in (Refused, DecodeError, HTTPException, TimeoutError, Exception):
        app.add_exception_handler(kind, answer)
