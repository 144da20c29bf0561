"""Signatures are checked in threads, and only so many may wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone_protocol.problems import Problem

# A verification and a signature take about 1 ms: the last of 256 in the queue waits about 0.3 s for one core.
MAX_WAITING = 256
_RETRY_AFTER_S = 1

T = TypeVar("T")


class VerificationPool:
    """`workers` threads (one a core), 256 jobs waiting; beyond that a caller is refused before any work is done."""

    def __init__(self, workers: int) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="verify")
        self._most = workers + MAX_WAITING
        self._admitted = 0

    @property
    def admitted(self) -> int:
        """Jobs that run or wait."""
        return self._admitted

    @property
    def full(self) -> bool:
        return self._admitted >= self._most

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for one caller, whose jobs run one after the other. Raises Refused (OVERLOADED)."""
        if self.full:
            raise Refused(Problem.OVERLOADED, "too many signatures wait to be checked", retry_after_s=_RETRY_AFTER_S)
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    async def run(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, job)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
