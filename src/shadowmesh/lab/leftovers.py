"""Finds and removes what a lab left behind, and only that.

A namespace carries its owner's pid in its name, `sm-<pid>-<serial>-<host>`; a process carries the first three parts
in its environment, and so do its children, however often they fork.
"""

import os
import re
import select
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from shadowmesh.lab.commands import run
from shadowmesh.lab.errors import CommandError

MARKER = "SHADOWMESH_LAB"
GRACE_S = 3.0  # between SIGTERM and SIGKILL

_NAMESPACES = Path("/run/netns")
_NAME = re.compile(r"(sm-(\d+)-\d+)-.+")


def namespaces() -> list[str]:
    """The names of all namespaces that `ip netns` knows, sorted."""
    return sorted(path.name for path in _NAMESPACES.iterdir()) if _NAMESPACES.is_dir() else []


def owner(namespace: str) -> tuple[str, int] | None:
    """The lab that a namespace belongs to and the pid that made it, or None if no lab did."""
    match = _NAME.fullmatch(namespace)
    return None if match is None else (match[1], int(match[2]))


def sweep() -> list[str]:
    """Removes the namespaces, and ends the processes, of labs whose owner is dead. Returns the names removed."""
    removed = []
    ended: set[str] = set()
    for name in namespaces():
        match owner(name):
            case (lab, pid) if not _alive(pid):
                if lab not in ended:
                    end_processes(lab)
                    ended.add(lab)
                remove_namespace(name)
                removed.append(name)
    return removed


def remove_namespace(name: str) -> None:
    """Removes the namespace if it is still there."""
    try:
        run(["ip", "netns", "del", name])
    except CommandError:
        if name in namespaces():
            raise


def end_processes(lab: str, grace_s: float = GRACE_S) -> None:
    """Ends each process that the lab started and what that started in turn: SIGTERM, then SIGKILL."""
    with ExitStack() as stack:
        handles = []
        for handle in _open_processes(lab):
            stack.callback(os.close, handle)
            handles.append(handle)
        for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, GRACE_S)):
            for handle in handles:
                _signal(handle, number)
            handles = _still_running(handles, wait_s)


def _open_processes(lab: str) -> Iterator[int]:
    """Yields process handles, which cannot come to mean another process as a pid can."""
    wanted = f"{MARKER}={lab}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            handle = os.pidfd_open(int(entry.name))
        except OSError:
            continue  # gone meanwhile
        if wanted in _environment(entry):
            yield handle
        else:
            os.close(handle)


def _environment(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []  # gone meanwhile, or not ours to read and so not ours


def _signal(handle: int, number: signal.Signals) -> None:
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return


def _still_running(handles: list[int], wait_s: float) -> list[int]:
    deadline = time.monotonic() + wait_s
    running = list(handles)
    while running:
        exited, _, _ = select.select(running, [], [], max(0.0, deadline - time.monotonic()))
        running = [handle for handle in running if handle not in exited]
        if not exited:
            break
    return running


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
