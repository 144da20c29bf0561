from __future__ import annotations

import asyncio
import contextlib

from shadowmesh.node.netlink import AddressChange, LinkChange, RouteChange
from shadowmesh.node.network_watch import (
    MIN_SLEEP_S,
    TICK_S,
    NetworkWatch,
    ReturnedLinks,
    SleepDetector,
    boot_time,
    watch_sleep,
)


def test_a_second_that_took_a_second_was_no_sleep() -> None:
    detector = SleepDetector(100.0)
    assert detector.slept_s(100.0 + TICK_S) == 0.0
    assert detector.slept_s(100.0 + TICK_S + MIN_SLEEP_S - 0.1) == 0.0


def test_a_sleep_is_told_once_with_its_length() -> None:
    detector = SleepDetector(100.0)
    assert detector.slept_s(700.0) == 600.0
    assert detector.slept_s(701.0) == 0.0


def test_the_clock_does_not_go_back() -> None:
    first = boot_time()
    assert boot_time() >= first


def test_who_watches_is_told_when_the_clock_has_jumped() -> None:
    times = iter([100.0, 160.0])
    told: list[float] = []

    async def watch() -> None:
        done = asyncio.Event()

        def woke(slept_s: float) -> None:
            told.append(slept_s)
            done.set()

        task = asyncio.create_task(watch_sleep(woke, lambda: next(times)))
        await asyncio.wait_for(done.wait(), 30)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(watch())
    assert told == [60.0]


def test_addresses_and_default_routes_are_always_worth_a_look() -> None:
    links = ReturnedLinks(None)
    assert links.take([AddressChange(2)])
    assert links.take([RouteChange()])
    assert not links.take([])


def test_a_link_is_worth_a_look_when_its_carrier_changes() -> None:
    links = ReturnedLinks(None)
    assert links.take([LinkChange(2, "wifi0", True)])
    assert not links.take([LinkChange(2, "wifi0", True)])
    assert links.take([LinkChange(2, "wifi0", False)])
    assert links.counts == {}
    assert links.take([LinkChange(2, "wifi0", True)])
    assert links.counts == {"wifi0": 1}


def test_our_own_device_is_ignored() -> None:
    assert not ReturnedLinks("shadowmesh0").take([LinkChange(7, "shadowmesh0", True)])


def test_a_watch_is_closed_twice_without_harm() -> None:
    async def watch() -> None:
        watching = NetworkWatch(lambda: None, ignored=None)
        watching.close()
        watching.close()

    asyncio.run(watch())
