"""What every request must keep to before a route sees it: its address's rate, its size, its time."""

from __future__ import annotations

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shadowmesh.backbone.clock import Clock
from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.http.problems import problem_response
from shadowmesh.backbone.limits.addresses import AddressResolver, ClientAddress
from shadowmesh.backbone.limits.rates import RateLimiter, Rates
from shadowmesh.backbone.metrics import Metrics
from shadowmesh.backbone_protocol.body import MAX_REQUEST_BYTES
from shadowmesh.backbone_protocol.problems import Problem

CLIENT_ADDRESS = "shadowmesh.client_address"
BODY_TIME_S = 10.0  # 16 KB at 13 kbit/s: slower than any link that could carry a session
HANDLING_TIME_S = 10.0  # thirty times a full verification queue


class RequestLimits:
    """ASGI middleware. Reads the body whole, because the largest is 16 KB, and hands it on in one piece."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        addresses: AddressResolver,
        metrics: Metrics,
        rates: Rates,
        clock: Clock,
        body_time_s: float = BODY_TIME_S,
        handling_time_s: float = HANDLING_TIME_S,
    ) -> None:
        self._app = app
        self._addresses = addresses
        self._metrics = metrics
        self._requests_per_address = RateLimiter(rates.requests_per_address, clock)
        self._body_time_s = body_time_s
        self._handling_time_s = handling_time_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        address = self._resolve(scope)
        scope[CLIENT_ADDRESS] = address
        try:
            if not address.unlimited:
                self._requests_per_address.take(address.key)
            if scope["type"] == "http":
                receive = await self._with_body(headers, receive)
        except Refused as refused:
            self._metrics.refusals.labels(refused.problem.slug).inc()
            await refuse(refused, scope, receive, send)
            return
        if scope["type"] == "http":
            await self._timed(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _resolve(self, scope: Scope) -> ClientAddress:
        client = scope.get("client")
        forwarded_for = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        return self._addresses.resolve(client[0] if client else "", forwarded_for)

    async def _with_body(self, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        """Raises Refused (BODY_TOO_LARGE, TIMED_OUT)."""
        length = headers.get(b"content-length")
        if length is None and b"transfer-encoding" not in headers:
            return receive
        if length is not None and (not length.isdigit() or int(length[:20]) > MAX_REQUEST_BYTES):
            raise Refused(Problem.BODY_TOO_LARGE, f"at most {MAX_REQUEST_BYTES} bytes")
        try:
            async with asyncio.timeout(self._body_time_s):
                body = await _read(receive)
        except TimeoutError:
            raise Refused(Problem.TIMED_OUT, f"the body took longer than {self._body_time_s:g} s") from None
        return _replay(body, receive)

    async def _timed(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun_at = time.perf_counter()  # a measurement for the operator: nothing is decided by it
        status = 0

        async def observe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            async with asyncio.timeout(self._handling_time_s):
                await self._app(scope, receive, observe)
        except TimeoutError:
            if status:
                raise
            self._metrics.refusals.labels(Problem.OVERLOADED.slug).inc()
            await refuse(Refused(Problem.OVERLOADED, retry_after_s=5), scope, receive, observe)
        except Exception:
            # Starlette raises once more what the handler of all errors has logged and answered.
            if not status:
                raise
        route = getattr(scope.get("route"), "path", "unknown")
        self._metrics.http_seconds.labels(route, status).observe(time.perf_counter() - begun_at)


async def refuse(refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    """Also before a WebSocket is accepted, by the extension that gives it an HTTP answer."""
    await problem_response(refused)(scope, receive, send)


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(Problem.MALFORMED, "the body ended early")
        body += message.get("body", b"")
        if len(body) > MAX_REQUEST_BYTES:
            raise Refused(Problem.BODY_TOO_LARGE, f"at most {MAX_REQUEST_BYTES} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
