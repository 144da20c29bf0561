"""The bounded pool."""

import asyncio
import threading

import pytest

from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.limits.verification import MAX_WAITING, VerificationPool
from shadowmesh.backbone_protocol.problems import Problem


async def test_the_257th_that_waits_is_refused_and_a_place_comes_free() -> None:
    pool = VerificationPool(2)
    gate = threading.Event()

    async def occupy() -> None:
        with pool.place():
            await pool.run(gate.wait)

    tasks = [asyncio.create_task(occupy()) for _ in range(2 + MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Refused) as refused, pool.place():
        pass
    assert refused.value.problem is Problem.OVERLOADED
    assert refused.value.retry_after_s
    gate.set()
    await asyncio.gather(*tasks)
    with pool.place():
        assert pool.admitted == 1
    pool.close()


async def test_an_error_in_a_thread_reaches_the_caller() -> None:
    pool = VerificationPool(1)
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 // 0)
    pool.close()
