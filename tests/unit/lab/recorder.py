"""A namespace that takes down what is done to it instead of doing it."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from shadowmesh.lab.addresses import Interface
from shadowmesh.lab.host import Attachment, Host
from shadowmesh.lab.namespace import Namespace


class Recorder(Namespace):
    def __init__(self, name: str = "sm-test", directory: Path = Path()) -> None:
        super().__init__(name, "sm-test", directory)
        self.lines: list[str] = []
        self.commands: list[tuple[str, ...]] = []
        self.stdins: list[str] = []
        self.settings: dict[str, str] = {}

    def ip(self, lines: Sequence[str]) -> None:
        self.lines += lines

    def tc(self, *arguments: str) -> None:
        self.commands.append(("tc", *arguments))

    def sysctl(self, path: str, value: str) -> None:
        self.settings[path] = value

    def read_sysctl(self, path: str) -> str:
        return self.settings[path]

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float = 0.0,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        self.commands.append(tuple(command))
        self.stdins.append(stdin)
        return subprocess.CompletedProcess(command, 0, "", "")


def recorded_host(name: str, *addresses: Interface) -> tuple[Host, Recorder]:
    """With the addresses at eth0, if there are any."""
    recorder = Recorder(f"sm-test-{name}")
    host = Host(name, recorder)
    if addresses:
        host.attachments["eth0"] = Attachment("eth0", "02:00:00:00:00:01", addresses)
    return host, recorder
