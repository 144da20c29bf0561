from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.paths.path_width import (
    FIRST_RELOOK_S,
    LOOK_S,
    MAX_NARROW,
    MISSES,
    RELOOK_S,
    REMIND_S,
    Look,
    PathWidth,
)
from shadowmesh.wire.endpoint import Endpoint

ROUNDING_S = 1e-6
V4, V6 = Endpoint.of("192.0.2.1", 41641), Endpoint.of("2001:db8::1", 41641)


def test_a_path_of_ipv4_is_not_looked_at() -> None:
    width = PathWidth()
    width.restart(V4, 5.0)
    assert width.due_at == math.inf


def test_a_path_that_answers_a_full_size_probe_is_looked_at_once_an_hour() -> None:
    width = looked_at()
    width.full_size_answered(0.1)
    assert not width.is_narrow
    assert width.due_at == 0.1 + RELOOK_S
    assert width.look(width.due_at) is Look.PROBE


def test_a_path_that_answers_small_probes_only_is_narrow_after_five() -> None:
    width = looked_at()
    assert miss(width, MISSES - 1) is Look.PROBE
    assert not width.is_narrow
    assert miss(width) is Look.REMIND
    assert width.is_narrow


def test_of_a_narrow_path_the_kernel_is_reminded_and_nothing_else_is_asked() -> None:
    width = looked_at()
    miss(width, MISSES)
    began_at = width.due_at
    for number in range(5):
        width.full_size_answered(width.due_at - 1)  # in fragments
        assert width.due_at == pytest.approx(began_at + number * REMIND_S)
        assert width.look(width.due_at) is Look.REMIND
    assert width.is_narrow


def test_an_answer_between_misses_makes_them_count_anew() -> None:
    width = looked_at()
    miss(width, MISSES - 1)
    width.full_size_answered(width.due_at)
    assert width.look(width.due_at) is Look.PROBE
    miss(width, MISSES - 1)
    assert not width.is_narrow


def test_a_path_that_answers_nothing_is_not_narrow_and_is_asked_less_and_less_often() -> None:
    width = looked_at()
    pauses = []
    for _ in range(9):
        at = width.due_at
        assert width.look(at) is Look.REST
        pauses.append(width.due_at - at)
        assert width.look(width.due_at) is Look.PROBE
    assert pauses == pytest.approx([60, 120, 240, 480, 960, 1920, 3600, 3600, 3600])
    assert pauses[0] == pytest.approx(FIRST_RELOOK_S)
    assert not width.is_narrow


def test_a_small_probe_of_before_shows_nothing() -> None:
    width = looked_at()
    for _ in range(2 * MISSES):
        width.small_one_answered(width.due_at - LOOK_S - 0.01)
        width.look(width.due_at)
    assert not width.is_narrow


def test_another_path_is_wide_until_it_is_looked_at_and_one_that_was_narrow_is_at_once() -> None:
    width, other = looked_at(), Endpoint.of("2001:db8::2", 41641)
    miss(width, MISSES)
    width.restart(other, 100.0)
    assert not width.is_narrow
    assert width.look(100.0) is Look.PROBE
    width.restart(V6, 200.0)
    assert width.is_narrow
    assert width.look(200.0) is Look.REMIND


def test_no_more_narrow_paths_are_remembered_than_a_call_brings() -> None:
    width = PathWidth()
    paths = [Endpoint.of(f"2001:db8::{number}", 41641) for number in range(1, MAX_NARROW + 2)]
    for path in paths:
        width.restart(path, 0.0)
        width.look(0.0)
        assert miss(width, MISSES) is Look.REMIND
    width.restart(paths[0], 0.0)
    assert not width.is_narrow


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=50))
def test_only_five_misses_in_a_row_make_it_narrow(answers: list[tuple[bool, bool]]) -> None:
    width, misses = looked_at(), 0
    for small, full in answers:
        sent_at = width.due_at - LOOK_S + ROUNDING_S
        if full:
            width.full_size_answered(sent_at)
            misses = 0
        elif small:
            width.small_one_answered(sent_at)
            misses += 1
        else:
            misses = 0
        what = width.look(width.due_at)
        if misses == MISSES:
            assert what is Look.REMIND
            return
        assert not width.is_narrow
        if what is Look.REST:
            assert width.look(width.due_at) is Look.PROBE


def looked_at() -> PathWidth:
    width = PathWidth()
    width.restart(V6, 0.0)
    assert width.look(0.0) is Look.PROBE
    return width


def miss(width: PathWidth, times: int = 1) -> Look:
    """The small probe of each look is answered. Returns what the last one says."""
    what = Look.REST
    for _ in range(times):
        width.small_one_answered(width.due_at - LOOK_S + ROUNDING_S)
        what = width.look(width.due_at)
    return what
