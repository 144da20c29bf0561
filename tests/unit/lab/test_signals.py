import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from shadowmesh.lab.signals import postponed, termination_raises


@pytest.fixture(autouse=True)
def usual_handlers() -> Iterator[None]:
    """What a program in a terminal starts with: one under nohup, or in the background, inherits others."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(signal.SIGTERM, signal.SIG_DFL),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_raises_within_the_block(number: signal.Signals) -> None:
    with pytest.raises(SystemExit) as caught, termination_raises():
        signal.raise_signal(number)
    assert caught.value.code == 128 + number
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_handler_that_is_there_stays_in_force() -> None:
    seen: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        seen.append(number)

    signal.signal(signal.SIGTERM, remember)
    with termination_raises():
        signal.raise_signal(signal.SIGTERM)
    assert seen == [signal.SIGTERM]


def test_a_postponed_interrupt_comes_after_the_block() -> None:
    finished = False

    def block() -> None:
        nonlocal finished
        with postponed():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            finished = True

    with pytest.raises(KeyboardInterrupt):
        block()
    assert finished


def test_outside_the_main_thread_nothing_is_changed() -> None:
    handlers = []

    def block() -> None:
        with termination_raises(), postponed():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert handlers == [signal.SIG_DFL]
