"""Local UDP ports besides the main one: which endpoint each of them leads to, and when it is given back.

A hard NAT gives each port of ours a mapping of its own, so a path that was opened from such a port goes on through it.
Spec: docs/spec/paths.md, section 6.
"""

from __future__ import annotations

from collections.abc import Collection

from shadowmesh.wire.endpoint import Endpoint

GRACE_S = 60.0  # longer than a handshake goes on: until then no tunnel shows that the port is needed
SWEEP_INTERVAL_S = 30.0
MAX_BOUND = 1000  # one a trusted peer


class ExtraPorts:
    def __init__(self) -> None:
        self._port: dict[Endpoint, int] = {}
        self._bound_at: dict[int, float] = {}  # each open port, whether something leads through it still or not
        self._sweep_at: float | None = None

    def __getitem__(self, endpoint: Endpoint) -> int:
        """The local port towards this endpoint; 0 is the main one."""
        return self._port.get(endpoint, 0)

    def bind(self, endpoint: Endpoint, port: int, now: float) -> None:
        """From now on what goes there goes through this port."""
        self._port.pop(endpoint, None)
        if port == 0:
            return
        if len(self._port) < MAX_BOUND:
            self._port[endpoint] = port
        self._bound_at[port] = now
        if self._sweep_at is None:
            self._sweep_at = now + SWEEP_INTERVAL_S

    def unbind(self, ports: Collection[int]) -> None:
        """These are closed."""
        self._port = {endpoint: port for endpoint, port in self._port.items() if port not in ports}
        self._bound_at = {port: at for port, at in self._bound_at.items() if port not in ports}

    def sweep(self, in_use: Collection[tuple[Endpoint, int]], now: float) -> tuple[int, ...]:
        """When it is time: forgets the ports that no path goes through, and returns them to be closed.

        `in_use`: the paths, each with its port. A punch may have bound the endpoint to another one, for nothing.
        """
        if self._sweep_at is None or now < self._sweep_at:
            return ()
        used = {port for _, port in in_use}
        unused = tuple(port for port, at in self._bound_at.items() if port not in used and now >= at + GRACE_S)
        self.unbind(unused)
        for endpoint, port in in_use:
            if port in self._bound_at:
                self._port.setdefault(endpoint, port)
        self._sweep_at = now + SWEEP_INTERVAL_S if self._bound_at else None
        return unused

    def next_timeout(self) -> float | None:
        return self._sweep_at
