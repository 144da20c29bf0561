"""Something that goes on beside a block."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(act: Callable[[], None], interval_s: float) -> Iterator[None]:
    """Calls `act` in a thread of its own, each time after `interval_s`, until the block is left."""
    is_over = threading.Event()

    def run() -> None:
        while not is_over.wait(interval_s):
            act()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
