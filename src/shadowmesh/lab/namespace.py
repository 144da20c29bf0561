"""One network namespace: made, configured, entered, removed."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from shadowmesh.lab.commands import DEFAULT_TIMEOUT_S, not_installed, run
from shadowmesh.lab.errors import CommandError, LabError, Unavailable
from shadowmesh.lab.leftovers import MARKER, remove_namespace
from shadowmesh.lab.process import Process

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)  # os.setns is there from Python 3.12 on


class Namespace:
    """A network namespace and the programs in it. `lab` marks both for `leftovers`.

    `directory` is where logs go, and files that programs need; all namespaces of a network share it.
    """

    def __init__(self, name: str, lab: str, directory: Path) -> None:
        self.name = name
        self.directory = directory
        self._lab = lab
        self.processes: list[Process] = []

    def create(self) -> None:
        """Makes the namespace, with lo up. Raises `CommandError` if the kernel refuses."""
        run(["ip", "netns", "add", self.name])
        self.ip(["link set lo up"])

    def remove(self) -> None:
        """Removes the namespace and what it contains, if it is still there."""
        remove_namespace(self.name)

    def terminate_processes(self) -> None:
        """Sends SIGTERM to all programs that still run and waits for none."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)

    def stop_processes(self, deadline: float) -> None:
        """Ends all programs that still run; at the deadline (of the monotonic clock) by SIGKILL."""
        for process in self.processes:
            process.stop(max(0.0, deadline - time.monotonic()))

    def ip(self, lines: Sequence[str]) -> None:
        """Runs lines of `ip` commands in one go. Raises `CommandError` with the cause of the first failure."""
        try:
            run(["ip", "-n", self.name, "-batch", "-"], stdin="".join(f"{line}\n" for line in lines))
        except CommandError as error:
            # The last line of a batch only counts; the one before says what was wrong.
            causes = [line for line in error.stderr.splitlines() if not line.startswith("Command failed")]
            reason = causes[-1] if causes else "failed"
            raise CommandError(
                [*error.command[:3], "; ".join(lines)], error.returncode, reason, error.stderr
            ) from error

    def ip_json(self, *arguments: str) -> str:
        """What `ip -json` prints for the arguments."""
        return run(["ip", "-n", self.name, "-json", *arguments]).stdout

    def tc(self, *arguments: str) -> None:
        """Runs one `tc` command. Raises `CommandError` if it fails."""
        run(["tc", "-n", self.name, *arguments])

    def sysctl(self, path: str, value: str) -> None:
        """Sets /proc/sys/net/<path> of this namespace, where this kernel has such a setting."""
        with self.enter(), suppress(FileNotFoundError):
            setting = Path("/proc/sys/net") / path
            # In a container /proc/sys may be read-only, which does no harm if the value is right already.
            if setting.read_text().strip() != value:
                setting.write_text(value)

    def read_sysctl(self, path: str) -> str:
        """The value of /proc/sys/net/<path> in this namespace. Raises `LabError` where there is no such setting."""
        with self.enter():
            try:
                return (Path("/proc/sys/net") / path).read_text().strip()
            except FileNotFoundError as error:
                raise LabError(f"this kernel has no net/{path}") from error

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """As `commands.run`, in the namespace; `env` is added to our environment."""
        environment = self._environment(env)
        inside = self._inside(command, environment)
        return run(inside, timeout_s=timeout_s, stdin=stdin, env=environment, check=check)

    def start(
        self,
        command: Sequence[str],
        *,
        name: str | None = None,
        stdout: int | IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """Starts a program, named after itself unless `name` is given; `env` is added to our environment.

        Output goes to the process's log; with `stdout` only the error output does. Raises `Unavailable` if the
        program is not installed.
        """
        environment = self._environment(env)
        inside = self._inside(command, environment)
        name = name or Path(command[0]).name
        log = self.directory / f"{self.name}-{len(self.processes)}-{name}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                inside,
                stdin=subprocess.DEVNULL,
                stdout=output if stdout is None else stdout,
                stderr=output,
                env=environment,
                start_new_session=True,
            )
        process = Process(popen, name, log)
        self.processes.append(process)
        return process

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Within the block the calling thread is in the namespace: sockets that it opens stay there.

        Only this thread moves, so the block must not await and must not start threads.
        """
        with _open("/proc/thread-self/ns/net") as before, _open(f"/run/netns/{self.name}") as inside:
            _set_namespace(inside)
            try:
                yield
            finally:
                _set_namespace(before)

    def socket(self, family: int = socket.AF_INET, type: int = socket.SOCK_DGRAM) -> socket.socket:
        """A socket of this process whose network is the namespace's. The caller closes it."""
        with self.enter():
            return socket.socket(family, type)

    def _inside(self, command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
        if shutil.which(command[0], path=environment.get("PATH")) is None:
            raise Unavailable(not_installed(command[0]))
        # `ip netns exec` replaces itself by the program: its pid is the program's, and so are its signals.
        return ["ip", "netns", "exec", self.name, *command]

    def _environment(self, env: Mapping[str, str] | None) -> dict[str, str]:
        return {**os.environ, **(env or {}), MARKER: self._lab}


@contextmanager
def _open(path: str) -> Iterator[int]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise LabError(f"{path}: the namespace is gone") from error
    try:
        yield handle
    finally:
        os.close(handle)


def _set_namespace(handle: int) -> None:
    if _libc.setns(handle, _CLONE_NEWNET) != 0:
        raise LabError(f"setns: {os.strerror(ctypes.get_errno())}")
