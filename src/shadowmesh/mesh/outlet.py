"""What leaves the mesh: one queue, in which each order gets the local port that leads to where it goes."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from shadowmesh.mesh.extra_ports import ExtraPorts
from shadowmesh.mesh.outputs import InstallPeer, Output, SetPath
from shadowmesh.wire.transmit import Transmit


class Outlet:
    def __init__(self) -> None:
        self.ports = ExtraPorts()
        self._queue: deque[Output] = deque()

    def append(self, output: Output) -> None:
        match output:
            case Transmit(destination=endpoint) | InstallPeer(path=endpoint) | SetPath(path=endpoint):
                via = output.via or self.ports[endpoint]
                self._queue.append(replace(output, via=via) if via else output)
            case _:
                self._queue.append(output)

    def poll(self) -> Output | None:
        return self._queue.popleft() if self._queue else None
