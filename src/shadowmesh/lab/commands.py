"""Runs one command to its end, within a time limit."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from shadowmesh.lab.errors import CommandError, Unavailable

DEFAULT_TIMEOUT_S = 10.0  # configuring a namespace takes milliseconds; only a hung kernel takes this long

_PACKAGES = {
    "ip": "iproute2",
    "tc": "iproute2",
    "mount": "mount",
    "unshare": "util-linux",
    "ping": "iputils-ping",
    "nft": "nftables",
    "conntrack": "conntrack",
    "miniupnpd": "miniupnpd",
}


def run(
    command: Sequence[str],
    *,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Runs the command and returns its output as text.

    `env` replaces the environment. On a timeout, and on an exception here such as Ctrl-C, the command is killed
    with all that it started in its process group. Raises `Unavailable` if the program is not installed, and
    `CommandError` if it takes longer than `timeout_s` or, with `check`, exits with anything but 0.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=env,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise Unavailable(not_installed(command[0])) from error
    with process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            _kill_group(process)
            raise CommandError(command, None, f"took longer than {timeout_s:g} s") from error
        except BaseException:
            _kill_group(process)
            raise
    if check and process.returncode != 0:
        reason = last_line(stderr) or last_line(stdout) or describe_exit(process.returncode)
        raise CommandError(command, process.returncode, reason, stderr)
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def not_installed(program: str) -> str:
    """The line for a program that was not found, with the Debian package where we know it."""
    package = _PACKAGES.get(program)
    return f"{program} is not installed" + (f": apt-get install {package}" if package else "")


def last_line(text: str) -> str:
    """The last line that is not empty; programs put the cause there."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def describe_exit(returncode: int) -> str:
    """An exit status in words, with the signal's name where one ended the program."""
    if returncode >= 0:
        return f"exit status {returncode}"
    return f"ended by {signal.Signals(-returncode).name}"


def _kill_group(process: subprocess.Popen[str]) -> None:
    # Not reaped yet, so neither the pid nor the group can belong to anyone else.
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
