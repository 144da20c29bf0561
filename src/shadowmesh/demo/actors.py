"""The programs of the demo on their hosts: a backbone and light nodes, driven through their command line."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shadowmesh.lab.errors import LabError
from shadowmesh.lab.host import Host
from shadowmesh.lab.process import Process

SHADOWMESH = (sys.executable, "-m", "shadowmesh")
START_TIMEOUT_S = 20.0
BACKBONE_PORT = 8443
_POLL_S = 0.02


class Backbone:
    """`shadowmesh backbone run` on a host, with a data folder that outlives the process."""

    def __init__(self, host: Host, data: Path, *, port: int = BACKBONE_PORT) -> None:
        self.host = host
        self.data = data
        self._listen = f"{host.ipv4}:{port}"
        self.url = f"http://{self._listen}"
        self.fingerprint = ""
        self._process: Process | None = None

    def start(self, *options: str) -> None:
        """Returns when it serves. Raises LabError with the end of its log when it does not."""
        address = str(self.host.ipv4)
        command = ["backbone", "run", "--data", str(self.data), "--listen", self._listen]
        command += ["--url", self.url, "--stun-address", address, "--json", *options]
        self._process = self.host.start([*SHADOWMESH, *command], name=f"{self.host.name}-backbone")
        self._process.wait_for_output('"ready"', START_TIMEOUT_S)
        ready = next(line for line in self._process.output().splitlines() if '"ready"' in line)
        self.fingerprint = json.loads(ready)["fingerprint"]

    @property
    def pin(self) -> str:
        """What `shadowmesh up --backbone` takes."""
        return f"{self.url}#{self.fingerprint}"

    def kill(self) -> None:
        """SIGKILL: no goodbye to anybody."""
        if self._process is not None:
            self._process.kill()

    def carried(self) -> int:
        """Bytes that its network interface has sent and received, in any protocol."""
        counters = self.host.interface_counters()["eth0"]
        return counters.rx_bytes + counters.tx_bytes


class LightNode:
    """A light node on a host, with a home that outlives the process."""

    def __init__(self, host: Host, home: Path) -> None:
        self.host = host
        self.home = home
        identity = self.command("id")["identity"]
        self.fingerprint: str = identity["fingerprint"]
        self.peer_id: str = identity["peer_id"]
        self.overlay_address: str = identity["address"]
        self._process: Process | None = None
        self._starts = 0

    @property
    def process(self) -> Process:
        if self._process is None:
            raise LabError(f"{self.host.name}'s daemon was not started")
        return self._process

    def start(self, *options: str) -> Process:
        """Starts the daemon, and does not wait for it."""
        self._starts += 1
        command = [*SHADOWMESH, "up", "--home", str(self.home), *options]
        self._process = self.host.start(command, name=f"{self.home.name}-daemon-{self._starts}")
        return self._process

    def up(self, *options: str) -> None:
        """Returns when the daemon answers. Raises LabError with the end of its log when it does not."""
        process = self.start(*options)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (self.home / "control.sock").exists() or not self.answers():
            if process.returncode is not None or time.monotonic() > deadline:
                raise LabError(f"{self.host.name}'s daemon did not start\n{process.tail()}")
            time.sleep(_POLL_S)

    def command(self, *words: str, timeout_s: float = 45.0) -> dict[str, Any]:
        """A command of `shadowmesh` with --json, and its answer. Raises CommandError when it fails."""
        document: dict[str, Any] = json.loads(self._run(words, timeout_s=timeout_s, check=True).stdout)
        return document

    def answers(self) -> bool:
        """Whether a daemon runs that can be asked."""
        return self._run(("status",), timeout_s=START_TIMEOUT_S, check=False).returncode == 0

    def trust(self, other: LightNode) -> None:
        self.command("peers", "trust", other.fingerprint, "--name", other.host.name)

    def wait_online(self, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """Waits for the log-in, and returns the status document. Raises LabError."""
        deadline = time.monotonic() + timeout_s
        while (status := self.command("status"))["link"]["state"] != "online":
            if time.monotonic() > deadline:
                raise LabError(f"{self.host.name} did not log in: {status['backbone']['reason']}")
            time.sleep(_POLL_S)
        return status

    def peer(self, other: LightNode) -> dict[str, Any]:
        """What the status document says of the other node, which must be trusted."""
        peers: list[dict[str, Any]] = self.command("status")["peers"]
        return next(peer for peer in peers if peer["fingerprint"] == other.fingerprint)

    def ping_through_tunnel(self, other: LightNode, *, count: int = 1, within_s: int = 10) -> float:
        """ICMPv6 echo to the other's overlay address: median round trip in ms. Raises CommandError if none returns."""
        result = self.host.run(
            ["ping", "-n", "-c", str(count), "-i", "0.2", "-w", str(within_s), other.overlay_address],
            timeout_s=within_s + 5,
        )
        times = sorted(float(part.split("=")[1]) for part in result.stdout.split() if part.startswith("time="))
        return times[len(times) // 2]

    def _run(self, words: Sequence[str], *, timeout_s: float, check: bool) -> subprocess.CompletedProcess[str]:
        command = [*SHADOWMESH, *words, "--home", str(self.home), "--json"]
        return self.host.run(command, timeout_s=timeout_s, check=check)


def start_pair(
    hosts: tuple[Host, Host, Host], folder: Path, *, options: Sequence[str] = (), within_s: int = 10
) -> tuple[LightNode, LightNode, Backbone]:
    """On the first host a backbone, with these options, on the others two nodes that trust each other and have met.

    Homes and data are made in the folder. Raises LabError, and CommandError when no packet passes in that time.
    """
    backbone = Backbone(hosts[0], folder / hosts[0].name)
    backbone.start(*options)
    alice, bob = (LightNode(host, folder / host.name) for host in hosts[1:])
    for node in (alice, bob):
        node.up("--backbone", backbone.pin)
        node.wait_online()
    alice.trust(bob)
    bob.trust(alice)
    alice.ping_through_tunnel(bob, within_s=within_s)
    return alice, bob, backbone
