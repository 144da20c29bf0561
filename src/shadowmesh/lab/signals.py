"""Lets a signal end a block the way an exception does, and keeps it from ending the clean-up."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_Handler = Callable[[int, FrameType | None], Any] | int | None


@contextmanager
def termination_raises() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP raise `SystemExit` (128 + signal), so that `finally` is reached.

    A handler that somebody installed stays in force. Outside the main thread, where Python handles no signals,
    this does nothing.
    """
    before: dict[signal.Signals, _Handler] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, _raise_exit)
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is _raise_exit:
                signal.signal(number, handler)


@contextmanager
def postponed() -> Iterator[None]:
    """Holds SIGINT, SIGTERM and SIGHUP back until the end of the block, then delivers the first one.

    The block must be bounded in time: only SIGKILL stops it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)

    before = {number: signal.signal(number, remember) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None stands for a handler that was not installed from Python and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if arrived:
            signal.raise_signal(arrived[0])


def _raise_exit(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
