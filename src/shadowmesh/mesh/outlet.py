"""What leaves the mesh: one queue, in which each datagram that names no local port gets the one that leads to where it
goes."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from shadowmesh.mesh.extra_ports import ExtraPorts
from shadowmesh.mesh.outputs import Output
from shadowmesh.wire.transmit import Transmit


class Outlet:
    def __init__(self) -> None:
        self.ports = ExtraPorts()
        self._queue: deque[Output] = deque()

    def append(self, output: Output) -> None:
        if isinstance(output, Transmit) and output.via is None:
            output = replace(output, via=self.ports[output.destination])
        self._queue.append(output)

    def poll(self) -> Output | None:
        return self._queue.popleft() if self._queue else None
