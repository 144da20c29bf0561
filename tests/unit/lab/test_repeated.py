import threading
from itertools import count

import pytest

from shadowmesh.lab.repeated import repeated


def test_it_goes_on_beside_the_block_and_no_longer() -> None:
    calls, third = count(1), threading.Event()
    threads = threading.active_count()

    def act() -> None:
        if next(calls) == 3:
            third.set()

    with repeated(act, 0.001):
        assert third.wait(10)
        assert threading.active_count() == threads + 1
    assert threading.active_count() == threads


def test_it_ends_with_a_block_that_fails() -> None:
    threads = threading.active_count()
    with pytest.raises(KeyError), repeated(lambda: None, 0.001):
        raise KeyError
    assert threading.active_count() == threads
