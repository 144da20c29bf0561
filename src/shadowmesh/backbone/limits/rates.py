"""Token buckets, and how fast each kind of request may come."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

from shadowmesh.backbone.clock import Clock
from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.limits.bounded_table import BoundedTable
from shadowmesh.backbone_protocol.problems import Problem

# 65,536 buckets of about 200 bytes: 13 MB a limiter. Who owns more networks than that is not stopped by a bucket each.
MAX_BUCKETS = 65_536


@dataclass(frozen=True, slots=True)
class Rate:
    per_s: float
    burst: int


@dataclass(frozen=True, slots=True)
class Rates:
    """Per address: a /32 of IPv4, a /56 of IPv6. The figures of the first four are in the protocol."""

    challenges_per_address: Rate = Rate(10 / 60, 10)
    logins_per_address: Rate = Rate(5 / 60, 10)
    logins_per_peer: Rate = Rate(6 / 60, 6)
    new_peers_per_network: Rate = Rate(10 / 3600, 10)  # a /24 or a /56: ids are free, rows in the registry are not
    requests_per_address: Rate = Rate(20, 200)  # a household or a small CGNAT pool that starts at once
    renewals_per_peer: Rate = Rate(6 / 60, 6)
    publishes_per_peer: Rate = Rate(10 / 60, 10)  # a roaming PUBLIC node changes its record each few minutes
    lookups_per_peer: Rate = Rate(10, 200)  # the local cache holds 100 peers: a cold start asks for all of them
    connections_per_peer: Rate = Rate(12 / 60, 12)
    messages_per_peer: Rate = Rate(10, 100)
    calls_per_caller: Rate = Rate(1, 20)
    calls_per_callee: Rate = Rate(10, 100)  # 400-byte calls: at most 32 kbit/s towards one node
    stun_per_address: Rate = Rate(50, 100)  # classifying a NAT takes about ten requests


class RateLimiter:
    """One token bucket a key. A key that was forgotten because the table is full starts again with a full bucket."""

    def __init__(self, rate: Rate, clock: Clock, *, most: int = MAX_BUCKETS) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: BoundedTable[Hashable, tuple[float, float]] = BoundedTable(most)  # (tokens, filled at)

    def allows(self, key: Hashable) -> bool:
        """Takes a token if there is one."""
        return self._take(key) == 0

    def take(self, key: Hashable) -> None:
        """Raises Refused (RATE_LIMITED)."""
        wait_s = self._take(key)
        if wait_s > 0:
            raise Refused(Problem.RATE_LIMITED, retry_after_s=max(1, math.ceil(wait_s)))

    def _take(self, key: Hashable) -> float:
        now = self._clock()
        tokens, filled_at = self._buckets.get(key) or (float(self._rate.burst), now)
        # A clock that is set back must neither drain the bucket nor fill it.
        tokens = min(self._rate.burst, tokens + max(0.0, now - filled_at) * self._rate.per_s)
        if tokens < 1:
            self._buckets.put(key, (tokens, now))
            return (1 - tokens) / self._rate.per_s
        self._buckets.put(key, (tokens - 1, now))
        return 0
