"""The cookies that an initiator has been given. Spec: docs/spec/session.md, section 6.3."""

from __future__ import annotations

from shadowmesh.identity.names import PeerID
from shadowmesh.session.limits import COOKIE_HELD_S, MAX_COOKIES
from shadowmesh.wire.endpoint import Endpoint


class CookieJar:
    """One cookie for a peer at an endpoint; it outlives the attempt that it was given in."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[PeerID, Endpoint], tuple[bytes, float]] = {}  # and until when; oldest first

    def __len__(self) -> int:
        return len(self._cookies)

    def put(self, peer: PeerID, endpoint: Endpoint, cookie: bytes, now: float) -> None:
        self._cookies.pop((peer, endpoint), None)
        if len(self._cookies) >= MAX_COOKIES:
            del self._cookies[next(iter(self._cookies))]
        self._cookies[peer, endpoint] = cookie, now + COOKIE_HELD_S

    def get(self, peer: PeerID, endpoint: Endpoint, now: float) -> bytes | None:
        cookie, expires_at = self._cookies.get((peer, endpoint), (None, 0.0))
        return cookie if now < expires_at else None

    def forget(self, peer: PeerID) -> None:
        for key in [key for key in self._cookies if key[0] == peer]:
            del self._cookies[key]
