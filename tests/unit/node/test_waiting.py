import asyncio

import pytest

from shadowmesh.control.errors import ControlError
from shadowmesh.node.waiting import MAX_WAITING, Waiting


async def test_everybody_who_waits_gets_the_answer() -> None:
    waiting: Waiting[str, int] = Waiting()
    first, second, other = waiting.expect("a"), waiting.expect("a"), waiting.expect("b")
    with first, second, other:
        waiting.give("a", 7)
        assert await first.answer(1) == 7
        assert await second.answer(1) == 7
        with pytest.raises(TimeoutError):
            await other.answer(0)


async def test_an_answer_that_comes_before_the_wait_is_not_lost() -> None:
    waiting: Waiting[str, int] = Waiting()
    expectation = waiting.expect("a")
    with expectation:
        waiting.give("a", 1)
        waiting.give("a", 2)
        assert await expectation.answer(0.1) == 1


async def test_an_answer_after_the_wait_goes_nowhere() -> None:
    waiting: Waiting[str, int] = Waiting()
    with waiting.expect("a"):
        pass
    waiting.give("a", 1)


async def test_there_is_a_limit_which_frees_itself() -> None:
    waiting: Waiting[int, int] = Waiting()
    expectations = [waiting.expect(number) for number in range(MAX_WAITING)]
    with pytest.raises(ControlError):
        waiting.expect(0)
    with expectations[0]:
        pass
    waiting.expect(0)
    await asyncio.sleep(0)
