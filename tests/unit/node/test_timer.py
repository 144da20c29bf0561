import asyncio

from shadowmesh.node.timer import Timer


async def test_it_fires_at_its_deadline_and_once() -> None:
    loop, fired = asyncio.get_running_loop(), asyncio.Event()
    due_at: list[float] = []

    def due() -> None:
        due_at.append(loop.time())
        fired.set()

    deadline = loop.time() + 0.01
    Timer(loop, due).arm(deadline)
    await fired.wait()
    assert due_at[0] >= deadline - 1e-6
    assert len(due_at) == 1


async def test_a_later_deadline_replaces_the_first_and_none_cancels() -> None:
    loop, fired = asyncio.get_running_loop(), asyncio.Event()
    timer = Timer(loop, fired.set)
    timer.arm(loop.time())
    timer.arm(None)
    other = Timer(loop, fired.set)
    other.arm(loop.time() + 3600)
    other.arm(loop.time() + 0.005)
    await asyncio.wait_for(fired.wait(), 5)


async def test_a_deadline_in_the_past_lets_the_loop_breathe() -> None:
    loop, fired, turns = asyncio.get_running_loop(), asyncio.Event(), 0
    timer: Timer

    def due() -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            fired.set()
        else:
            timer.arm(loop.time() - 10)

    timer = Timer(loop, due)
    began = loop.time()
    timer.arm(began - 10)
    await asyncio.wait_for(fired.wait(), 5)
    assert loop.time() - began >= 0.0025
