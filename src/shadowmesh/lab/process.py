"""A program that runs in a namespace."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import IO

from shadowmesh.lab.commands import describe_exit
from shadowmesh.lab.errors import LabError
from shadowmesh.lab.leftovers import GRACE_S

TAIL_LINES = 20  # of a log in an error: the cause, and not the whole run
_POLL_S = 0.01


class Process:
    """A started program, the leader of its own process group. Made by `Host.start`.

    `pid` is the program's own. Its output goes to the file `log`, unless the starter sent it elsewhere.
    """

    def __init__(self, popen: subprocess.Popen[bytes], name: str, log: Path) -> None:
        self._popen = popen
        self.name = name
        self.log = log

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def stdout(self) -> IO[bytes] | None:
        """The pipe, where the program was started with `stdout=subprocess.PIPE`."""
        return self._popen.stdout

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while the program runs."""
        return self._popen.poll()

    def output(self) -> str:
        """What the program has written to its log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self) -> str:
        """The last lines of the log."""
        return "\n".join(self.output().splitlines()[-TAIL_LINES:])

    def describe(self) -> str:
        """Whether it runs or how it ended, in words."""
        return "running" if self.returncode is None else describe_exit(self.returncode)

    def wait(self, timeout_s: float) -> int:
        """Waits for the end and returns the exit status. Raises `LabError` if the program runs on."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{self.name} still runs after {timeout_s:g} s") from error

    def wait_for_output(self, text: str, timeout_s: float) -> None:
        """Waits until the log contains the text. Raises `LabError` if it does not, or the program ends first."""
        deadline = time.monotonic() + timeout_s
        while True:
            ended = self.returncode  # before the log is read: what was written last is then in it
            if text in self.output():
                return
            if ended is not None:
                raise LabError(f"{self.name} did not print {text!r}: {describe_exit(ended)}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} did not print {text!r} within {timeout_s:g} s\n{self.tail()}")
            time.sleep(_POLL_S)

    def send_signal(self, number: signal.Signals) -> None:
        """Sends the signal to the program's group; does nothing once the program has ended."""
        if self._popen.poll() is None:
            # Not reaped yet, so the group cannot be anybody else's.
            os.killpg(self._popen.pid, number)

    def stop(self, grace_s: float = GRACE_S) -> int:
        """SIGTERM, and SIGKILL if that did not end it within the grace time. Returns the exit status."""
        self.send_signal(signal.SIGTERM)
        try:
            self._popen.wait(grace_s)
        except subprocess.TimeoutExpired:
            return self.kill()
        return self._close()

    def kill(self) -> int:
        """SIGKILL. Returns the exit status, which tells whether it had ended before."""
        self.send_signal(signal.SIGKILL)
        return self._close()

    def _close(self) -> int:
        returncode = self._popen.wait()
        if self._popen.stdout is not None:
            self._popen.stdout.close()
        return returncode
