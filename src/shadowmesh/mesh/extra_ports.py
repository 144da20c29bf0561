"""Local UDP ports besides the main one: which endpoint each of them leads to, and when it is given back.

A hard NAT gives each port of ours a mapping of its own, so a path that was opened from such a port goes on through it.
Spec: docs/spec/paths.md, section 6.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from shadowmesh.wire.endpoint import Endpoint

GRACE_S = 60.0  # longer than a handshake goes on: until then no tunnel shows that the port is needed
SWEEP_INTERVAL_S = 30.0
MAX_BOUND = 1000  # one a trusted peer


@dataclass(slots=True)
class _Bound:
    port: int
    since: float


class ExtraPorts:
    def __init__(self) -> None:
        self._bound: dict[Endpoint, _Bound] = {}
        self._sweep_at: float | None = None

    def __getitem__(self, endpoint: Endpoint) -> int:
        """The local port towards this endpoint; 0 is the main one."""
        bound = self._bound.get(endpoint)
        return 0 if bound is None else bound.port

    def bind(self, endpoint: Endpoint, port: int, now: float) -> None:
        """From now on what goes there goes through this port."""
        if port == 0:
            self._bound.pop(endpoint, None)
        elif endpoint in self._bound or len(self._bound) < MAX_BOUND:
            self._bound[endpoint] = _Bound(port, now)
            self._sweep_at = self._sweep_at or now + SWEEP_INTERVAL_S

    def unbind(self, ports: Collection[int]) -> None:
        """These are closed."""
        self._bound = {endpoint: bound for endpoint, bound in self._bound.items() if bound.port not in ports}

    def sweep(self, in_use: Collection[Endpoint], now: float) -> tuple[int, ...]:
        """When it is time: forgets the ports to endpoints that nobody uses, and returns them to be closed."""
        if self._sweep_at is None or now < self._sweep_at:
            return ()
        unused = [
            endpoint
            for endpoint, bound in self._bound.items()
            if endpoint not in in_use and now >= bound.since + GRACE_S
        ]
        closed = tuple(self._bound.pop(endpoint).port for endpoint in unused)
        self._sweep_at = now + SWEEP_INTERVAL_S if self._bound else None
        return closed

    def next_timeout(self) -> float | None:
        return self._sweep_at
