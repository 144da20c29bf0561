"""One process a home folder: an flock that the kernel takes back however the process ends."""

from __future__ import annotations

import fcntl
import os
import time
from types import TracebackType
from typing import Self

from shadowmesh.control.home import Home
from shadowmesh.files import durable
from shadowmesh.node.errors import HomeInUse, HomeUnusable

_MAX_PID_DIGITS = 20
_POLL_INTERVAL_S = 0.02


class HomeLock:
    """Held from `acquire` to `release`, or to the end of the process. The file names the holder for people."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, home: Home) -> Self:
        """Makes the folder where there is none. Raises HomeInUse, HomeUnusable."""
        try:
            durable.make_private_folder(home.folder)
            descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, durable.PRIVATE_FILE_MODE)
        except OSError as error:
            raise HomeUnusable(
                f"{home.folder} can't be used ({error.strerror})", "run as its owner, or choose another with --home"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, _MAX_PID_DIGITS).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise HomeInUse(str(home.folder), holder) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return cls(descriptor)

    def release(self) -> None:
        """The file stays: removing it would let two holders lock two files of one name."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def wait_until_released(home: Home, timeout_s: float) -> None:
    """Returns when no process holds the lock. Raises HomeInUse."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            HomeLock.acquire(home).release()
        except HomeInUse:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_POLL_INTERVAL_S)
        else:
            return
