"""Under which of its own names a client reached this server."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import HTTPConnection

from shadowmesh.backbone.directory.description import authority


class Authorities:
    def __init__(self, urls: Sequence[str]) -> None:
        self._own = [authority(url) for url in urls]

    def of(self, connection: HTTPConnection) -> str:
        """The `Host` only chooses among our own names; any other counts as the first of them, and fits no log-in."""
        host = connection.headers.get("host", "").lower()
        for own in self._own:
            if host in (own, f"{own}:443", f"{own}:80"):
                return own
        return self._own[0]
