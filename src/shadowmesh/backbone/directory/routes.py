"""GET /v1/directory: the signed list of backbone nodes, for anybody."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shadowmesh.backbone.directory.service import DirectoryService
from shadowmesh.backbone.http.openapi import binary, operation
from shadowmesh.backbone_protocol.body import COSE_MEDIA_TYPE


def router(directory: DirectoryService) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["directory"])
    extra = operation(reply=binary(COSE_MEDIA_TYPE))
    extra["responses"]["304"] = {"description": "The version of If-None-Match is the current one"}

    @routes.get("/directory", openapi_extra=extra)
    async def current(request: Request) -> Response:
        served = directory.current
        headers = {"ETag": served.etag, "Cache-Control": "no-cache"}
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if served.etag in known or "*" in known:
            return Response(status_code=304, headers=headers)
        return Response(served.encoded, headers=headers, media_type=COSE_MEDIA_TYPE)

    return routes
