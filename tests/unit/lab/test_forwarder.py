import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.lab.forwarder import DelayLine


def line(delay_s: float = 0.0, loss: float = 0.0, rate_bps: float = 0.0, chances: tuple[float, ...] = ()) -> DelayLine:
    return DelayLine(delay_s, loss, rate_bps, iter(chances).__next__)


def frame(number: int = 0, wire_bytes: int = 100) -> bytes:
    return bytes([number]) + bytes(wire_bytes + 9)  # with the header that offload needs: 10 bytes


def test_a_frame_arrives_after_the_delay_and_not_before() -> None:
    delayed = line(delay_s=0.5)
    delayed.push(frame(), now=10.0)
    assert delayed.next_at() == 10.5
    assert list(delayed.due(10.4)) == []
    assert list(delayed.due(10.5)) == [frame()]
    assert delayed.next_at() is None


def test_a_slow_link_sends_one_frame_after_the_other() -> None:
    slow = line(rate_bps=8000)
    slow.push(frame(1, wire_bytes=10), now=0.0)
    slow.push(frame(2, wire_bytes=10), now=0.0)
    assert slow.next_at() == pytest.approx(0.01)
    assert list(slow.due(0.015)) == [frame(1, wire_bytes=10)]
    assert slow.next_at() == pytest.approx(0.02)


def test_a_slow_link_drops_what_would_wait_too_long() -> None:
    slow = line(rate_bps=8000)
    for number in range(50):
        slow.push(frame(number, wire_bytes=10), now=0.0)
    assert len(list(slow.due(math.inf))) == 11  # 10 ms each: a tenth of a second, and the frame that fills it


def test_a_link_that_was_idle_has_no_credit() -> None:
    slow = line(rate_bps=8000)
    slow.push(frame(1, wire_bytes=10), now=100.0)
    assert slow.next_at() == pytest.approx(100.01)


def test_chance_decides_which_frames_are_lost() -> None:
    lossy = line(loss=0.25, chances=(0.24, 0.25, 0.9))
    for number in range(3):
        lossy.push(frame(number), now=0.0)
    assert list(lossy.due(0.0)) == [frame(1), frame(2)]


def test_memory_is_bounded() -> None:
    endless = line(delay_s=60.0)
    large = bytes(2**20)
    for _ in range(300):
        endless.push(large, now=0.0)
    assert len(list(endless.due(math.inf))) == 256


@given(
    pushes=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 1500)), max_size=30),
    delay_s=st.floats(0, 1),
    rate_bps=st.sampled_from([0.0, 1e4, 1e6]),
)
def test_frames_never_overtake_each_other(pushes: list[tuple[float, int]], delay_s: float, rate_bps: float) -> None:
    queue = line(delay_s=delay_s, rate_bps=rate_bps)
    for number, (now, wire_bytes) in enumerate(sorted(pushes)):
        queue.push(frame(number, wire_bytes), now)
    arrived = [each[0] for each in queue.due(math.inf)]
    assert arrived == sorted(arrived)
