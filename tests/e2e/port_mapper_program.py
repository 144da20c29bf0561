"""The port mapper alone, as a process: `port_mapper_program.py PORT LIFETIME_S PROTOCOL...`.

Writes each change of its statuses as a line of JSON. SIGUSR1: the network has changed. SIGTERM: give back and end.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from shadowmesh.node.port_mapper import PortMapperShell
from shadowmesh.paths.port_mapping.status import MappingProtocol, MappingStatus

LOOK_S = 0.05  # a renewal is no change: it is seen by looking


async def main(port: int, lifetime_s: int, protocols: list[MappingProtocol]) -> None:
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    shell = PortMapperShell(port, lambda status: write("changed", [status]), protocols=protocols, lifetime_s=lifetime_s)
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    loop.add_signal_handler(signal.SIGUSR1, shell.network_changed)
    shell.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    seen: list[MappingStatus] = []
    while not ending.is_set():
        if shell.statuses != seen:
            seen = shell.statuses
            write("statuses", seen)
        try:
            async with asyncio.timeout(LOOK_S):
                await ending.wait()
        except TimeoutError:
            continue
    began = loop.time()
    await shell.stop()
    sys.stdout.write(json.dumps({"stopped_in_s": loop.time() - began}) + "\n")


def write(what: str, statuses: list[MappingStatus]) -> None:
    sys.stdout.write(json.dumps({what: [in_json(status) for status in statuses]}) + "\n")
    sys.stdout.flush()


def in_json(status: MappingStatus) -> dict[str, object]:
    return {
        "gateway": str(status.gateway.address),
        "state": status.state.name,
        "protocol": None if status.protocol is None else status.protocol.name,
        "external": None if status.external is None else str(status.external),
        "expires_at": status.expires_at,
        "reason": status.reason,
    }


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), [MappingProtocol[name] for name in sys.argv[3:]]))
