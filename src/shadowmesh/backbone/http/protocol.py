"""Limits that apply before a request exists: its head must be small, and must come soon."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 16 * 1024  # a token is under 1 KB; proxies add a few hundred bytes
HEAD_TIME_S = 10.0


class BoundedHttpProtocol(HttpToolsProtocol):
    """httptools itself limits neither the size nor the time of a request's head. A breach closes the connection."""

    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._head_timer = self.loop.call_later(HEAD_TIME_S, self._abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_done()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        in_head = self._head_timer is not None or self.cycle is None or self.cycle.response_complete
        if in_head:
            self._head_bytes += len(data)
            if self._head_timer is None:
                self._head_timer = self.loop.call_later(HEAD_TIME_S, self._abort)
        super().data_received(data)
        if in_head and self._head_timer is not None and self._head_bytes > MAX_HEAD_BYTES:
            self._abort()

    def on_headers_complete(self) -> None:
        self._head_is_done()
        super().on_headers_complete()

    def _head_is_done(self) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _abort(self) -> None:
        self._head_is_done()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()
