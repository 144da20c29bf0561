"""Which M1 a responder spends a signature on. Spec: docs/spec/session.md, section 6.3."""

from __future__ import annotations

from dataclasses import dataclass

from shadowmesh.identity.keys import PublicIdentity
from shadowmesh.session.cookie_reply import CookieReply
from shadowmesh.session.cookie_secrets import CookieSecrets
from shadowmesh.session.drops import Dropped
from shadowmesh.session.events import DropReason
from shadowmesh.session.fragments import Flight
from shadowmesh.session.limits import (
    COOKIE_BURST,
    COOKIE_RATE,
    LOAD_HALF_OPEN,
    LOAD_RATE,
    MAX_PREFIXES,
    PREFIX_BURST,
    PREFIX_RATE,
)
from shadowmesh.session.messages import Message1
from shadowmesh.session.source_prefix import source_prefix
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy


class Admission:
    """Everybody in quiet times; under load who shows a cookie, not too many of one network, nor of all together."""

    def __init__(self, own: PublicIdentity, *, entropy: Entropy) -> None:
        self._own = own
        self._entropy = entropy
        self._secrets = CookieSecrets(entropy)
        self._load = _Load()
        self._prefixes = PrefixRates()
        self._all = TokenBucket(COOKIE_RATE, COOKIE_BURST, COOKIE_BURST, 0.0)
        self.cookies_asked = 0

    def judge(
        self, message1: Message1, flight: Flight, source: Endpoint, *, half_open: int, now: float
    ) -> CookieReply | None:
        """None: it is served. A reply: nothing but that. Raises Dropped. Costs a few hashes, whatever the verdict.

        Only for an M1 with a good mac1 that begins a handshake; `half_open` counts those that are under way.
        """
        busy = self._load.add(now)
        if not busy and half_open < LOAD_HALF_OPEN:
            return None
        if not self._secrets.accepts(message1.encode(), source, now):
            self.cookies_asked += 1
            cookie = self._secrets.cookie(source, now)
            return CookieReply.seal(cookie, flight, message1.mac1, self._own, self._entropy)
        if not (self._prefixes.take(source_prefix(source), now) and self._all.take(now)):
            raise Dropped(DropReason.RATE_LIMITED)
        return None


class _Load:
    """M1 that came, less fifty a second. Above twice the bound it counts no further: a second later all is quiet."""

    def __init__(self) -> None:
        self._level = 0.0
        self._at = 0.0

    def add(self, now: float) -> bool:
        """Counts one more. True above the bound."""
        drained = max(0.0, self._level - LOAD_RATE * (now - self._at))
        self._level, self._at = min(drained + 1, 2 * LOAD_RATE), now
        return self._level > LOAD_RATE


@dataclass(slots=True)
class TokenBucket:
    rate: float  # a second
    burst: float
    tokens: float
    at: float  # when that many were there

    def take(self, now: float) -> bool:
        """One, if there is one."""
        self.tokens = min(self.burst, self.tokens + self.rate * (now - self.at))
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class PrefixRates:
    """A token bucket for each network that is known to be there. The one that was quiet longest makes room."""

    def __init__(self) -> None:
        self._buckets: dict[bytes, TokenBucket] = {}  # the quietest first

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, prefix: bytes, now: float) -> bool:
        bucket = self._buckets.pop(prefix, None) or TokenBucket(PREFIX_RATE, PREFIX_BURST, PREFIX_BURST, now)
        if len(self._buckets) >= MAX_PREFIXES:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[prefix] = bucket
        return bucket.take(now)
