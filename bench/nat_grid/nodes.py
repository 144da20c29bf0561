"""Real nodes and backbones of the grid: processes on the lab's hosts, asked through their control sockets."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from shadowmesh.control import client, routes, schema
from shadowmesh.control.errors import ControlError, DaemonNotRunning
from shadowmesh.control.home import Home
from shadowmesh.demo.actors import SHADOWMESH, Backbone
from shadowmesh.lab.commands import run
from shadowmesh.lab.errors import LabError
from shadowmesh.lab.host import Host
from shadowmesh.lab.nat.internet import Internet

WEB_PORT = 80  # of the backbone nodes: networks that block UDP let it through
EVERYBODY = "0.0.0.0/0"
_START_S = 60.0  # dozens of daemons that start at once share two cores
_POLL_S = 0.05
_COUNT_PROBES = """
table inet grid {
    chain output {
        type filter hook output priority filter;
        udp length 78 @th,64,8 0x44 counter comment "probes"
    }
}
"""


class Node:
    """`shadowmesh up` on a host."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self.home = Home(folder)
        self.fingerprint = ""
        self.address = ""

    def start(self, backbone: Backbone) -> None:
        """Does not wait for it."""
        self.host.run(["nft", "-f", "-"], stdin=_COUNT_PROBES)
        command = [*SHADOWMESH, "up", "--home", str(self.home.folder), "--backbone", backbone.pin]
        self.host.start(command, name="shadowmesh")

    def wait_online(self) -> None:
        """Until it is logged in and knows both backbone nodes. Raises LabError."""
        deadline = time.monotonic() + _START_S
        while not self._is_online():
            if time.monotonic() > deadline:
                raise LabError(f"{self.host.name} is not online\n{self.host.processes[-1].tail()}")
            time.sleep(_POLL_S)

    def status(self) -> schema.StatusDocument:
        return client.call(self.home, routes.STATUS, None)

    def peer(self, other: Node) -> schema.Peer:
        return next(peer for peer in self.status().peers if peer.fingerprint == other.fingerprint)

    def trust(self, other: Node) -> None:
        client.call(self.home, routes.TRUST, schema.TrustRequest(fingerprint=other.fingerprint, name=other.host.name))

    def untrust(self, other: Node) -> None:
        client.call(self.home, routes.UNTRUST, schema.PeerRequest(peer=other.fingerprint))

    def ping(self, other: Node, timeout_s: float) -> schema.PingDocument:
        """Raises ControlError with the reason when there is no way."""
        request = schema.PingRequest(peer=other.fingerprint, timeout_s=timeout_s)
        return client.call(self.home, routes.PING, request, timeout_s=timeout_s + 3)

    def probes_sent(self) -> int:
        """Of all paths, since it started."""
        words = self.host.run(["nft", "list", "chain", "inet", "grid", "output"]).stdout.split()
        return int(words[words.index("packets") + 1])

    def _is_online(self) -> bool:
        try:
            status = self.status()
        except (DaemonNotRunning, ControlError):
            return False
        self.fingerprint, self.address = status.identity.fingerprint, status.identity.address
        return status.link.state == "online" and status.link.known > 1


def start_backbones(internet: Internet, folder: Path) -> Backbone:
    """Two of one directory, with two STUN ports each: four observers on two addresses. Returns the one to pin."""
    backbones = [
        Backbone(internet.host(f"backbone-{number}"), folder / f"backbone-{number}", port=WEB_PORT) for number in (1, 2)
    ]
    files = []
    for backbone in backbones:
        # Otherwise ten new nodes an hour of one /24, which is all of this internet.
        backbone.start("--unlimited-from", EVERYBODY)
        file = folder / f"{backbone.host.name}.json"
        file.write_text(_backbone_command(backbone, "node"))
        files.append(str(file))
    first, second = backbones
    _backbone_command(first, "directory", "make", *files)
    _backbone_command(second, "directory", "install", str(first.data / "directory.cose"))
    return first


def _backbone_command(backbone: Backbone, *words: str) -> str:
    return run([*SHADOWMESH, "backbone", *words, "--data", str(backbone.data)], timeout_s=20).stdout


def wait_until(condition: Callable[[], bool], limit_s: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
