"""The cookies that a responder gives out, without keeping any. Spec: docs/spec/session.md, section 6.3."""

from __future__ import annotations

import hmac
import math

from shadowmesh.session.cookie_reply import COOKIE_BYTES, mac2
from shadowmesh.session.limits import COOKIE_SECRET_S
from shadowmesh.session.messages import M1_PROVED_BYTES
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy

_SECRET_BYTES = 32


class CookieSecrets:
    """A secret lives 120 s, and is accepted for 120 s more. It is drawn when it is needed, so there is no timer."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._secrets: tuple[bytes, ...] = ()  # the newest first, two at most
        self._drawn_at = -math.inf

    def cookie(self, source: Endpoint, now: float) -> bytes:
        """16 bytes that name address and port."""
        self._turn(now)
        return _cookie(self._secrets[0], source)

    def accepts(self, message1: bytes, source: Endpoint, now: float) -> bool:
        """Whether the mac2 of M1 shows a cookie that this source was given."""
        self._turn(now)
        shown = message1[M1_PROVED_BYTES:]
        expected = [mac2(_cookie(secret, source), message1) for secret in self._secrets]
        return any(hmac.compare_digest(shown, one) for one in expected)

    def _turn(self, now: float) -> None:
        age_s = now - self._drawn_at
        if age_s >= COOKIE_SECRET_S:
            kept = self._secrets[:1] if age_s < 2 * COOKIE_SECRET_S else ()
            self._secrets = (self._entropy(_SECRET_BYTES), *kept)
            self._drawn_at = now


def _cookie(secret: bytes, source: Endpoint) -> bytes:
    return hmac.digest(secret, source.encode(), "sha256")[:COOKIE_BYTES]
