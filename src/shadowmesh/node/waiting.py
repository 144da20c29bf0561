"""Who waits for which answer of the mesh."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

from shadowmesh.control.errors import ControlError, ErrorCode

K = TypeVar("K")
V = TypeVar("V")

MAX_WAITING = 256
"""Requests of one person's terminals and scripts; the control socket is nobody else's."""


class Waiting(Generic[K, V]):
    """Expect first, then ask the mesh: its answer may come out of the same call."""

    def __init__(self) -> None:
        self._expectations: dict[K, list[Expectation[V]]] = {}
        self._count = 0

    def expect(self, key: K) -> Expectation[V]:
        """To be used in a `with`, which forgets it. Raises ControlError when too many wait."""
        if self._count >= MAX_WAITING:
            raise ControlError(ErrorCode.FAILED, f"{MAX_WAITING} requests wait already", "try again later")
        expectation: Expectation[V] = Expectation(lambda: self._forget(key, expectation))
        self._expectations.setdefault(key, []).append(expectation)
        self._count += 1
        return expectation

    def give(self, key: K, value: V) -> None:
        """Everybody who waits for `key` gets it."""
        for expectation in self._expectations.get(key, []):
            expectation.give(value)

    def _forget(self, key: K, expectation: Expectation[V]) -> None:
        self._count -= 1
        others = self._expectations[key]
        others.remove(expectation)
        if not others:
            del self._expectations[key]


class Expectation(Generic[V]):
    def __init__(self, forget: Callable[[], None]) -> None:
        self._forget = forget
        self._future: asyncio.Future[V] = asyncio.get_running_loop().create_future()

    def give(self, value: V) -> None:
        if not self._future.done():
            self._future.set_result(value)

    async def answer(self, timeout_s: float) -> V:
        """Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            return await self._future

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forget()
