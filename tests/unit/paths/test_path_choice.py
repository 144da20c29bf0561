from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.paths.path_choice import (
    EVALUATION_OFFSETS_S,
    FIRST_EVALUATIONS,
    FRESH_S,
    MAX_UNANSWERED,
    MIN_GAIN,
    MIN_GAIN_S,
    MIN_STAY_S,
    PathChoice,
)
from shadowmesh.wire.endpoint import Endpoint

LAN, WAN, FAR = (Endpoint.of(f"192.0.2.{number}", 41641) for number in (1, 2, 3))


def test_a_faster_path_is_taken_when_it_has_answered_twice() -> None:
    choice = PathChoice(0.0)
    choice.answered(WAN, 0.040, 0.3)
    choice.answered(LAN, 0.001, 0.3)
    assert choice.better_than(WAN, 0.3) is None
    choice.answered(LAN, 0.001, 0.6)
    assert choice.better_than(WAN, 0.6) == LAN


def test_what_is_nearly_as_fast_is_not_worth_a_move() -> None:
    assert measured({WAN: 0.040, LAN: 0.031}).better_than(WAN, 1.0) is None
    assert measured({WAN: 0.040, LAN: 0.029}).better_than(WAN, 1.0) == LAN


def test_below_half_a_millisecond_nothing_is_compared() -> None:
    assert measured({WAN: 0.0005, LAN: 0.0001}).better_than(WAN, 1.0) is None
    assert measured({WAN: 0.0007, LAN: 0.0001}).better_than(WAN, 1.0) == LAN


def test_the_fastest_of_several_is_taken() -> None:
    assert measured({WAN: 0.040, FAR: 0.020, LAN: 0.010}).better_than(WAN, 1.0) == LAN


def test_a_present_path_that_has_not_just_answered_is_not_compared() -> None:
    choice = measured({LAN: 0.001})
    assert choice.better_than(WAN, 1.0) is None


def test_a_measurement_of_before_does_not_choose() -> None:
    choice = measured({WAN: 0.040, LAN: 0.001}, at=1.0)
    choice.answered(WAN, 0.040, 1.0 + FRESH_S)
    assert choice.better_than(WAN, 1.0 + FRESH_S) is None


def test_after_a_move_it_stays_for_a_while() -> None:
    choice = measured({WAN: 0.040, LAN: 0.001}, at=5.0)
    choice.moved(5.0)
    assert choice.better_than(WAN, 5.5) is None
    again = 5.0 + MIN_STAY_S
    for endpoint, rtt_s in ((WAN, 0.040), (LAN, 0.001)):
        choice.answered(endpoint, rtt_s, again)
    assert choice.better_than(WAN, again) == LAN


def test_a_path_that_was_not_answered_in_three_evaluations_is_left_out() -> None:
    choice = measured({WAN: 0.040, LAN: 0.001})
    for _ in range(MAX_UNANSWERED):
        choice.evaluate(1.0)
        assert choice.rtt_s(LAN) is not None
    choice.evaluate(1.0)
    assert choice.rtt_s(LAN) is None


def test_silent_candidates_are_probed_at_the_first_evaluations_only() -> None:
    choice = PathChoice(0.0)
    choice.answered(LAN, 0.001, 0.0)
    for offset in EVALUATION_OFFSETS_S[:FIRST_EVALUATIONS]:
        assert choice.worth_probing(FAR)
        choice.evaluate(offset)
    assert not choice.worth_probing(FAR)


def test_evaluations_come_at_their_times_and_end() -> None:
    choice, due = PathChoice(100.0), []
    while (due_at := choice.due_at) is not None:
        due.append(due_at)
        choice.evaluate(due_at)
    assert due == [100.0 + offset for offset in EVALUATION_OFFSETS_S]


@given(st.floats(0, 1000))
def test_after_a_late_evaluation_the_next_lies_ahead(now: float) -> None:
    choice = PathChoice(0.0)
    choice.evaluate(now)
    assert choice.due_at is None or choice.due_at > now


def test_a_new_network_begins_from_nothing() -> None:
    choice = measured({WAN: 0.040, LAN: 0.001})
    choice.evaluate(400.0)
    choice.restart(500.0)
    assert choice.rtt_s(LAN) is None
    assert choice.due_at == 500.0 + EVALUATION_OFFSETS_S[0]
    assert choice.worth_probing(FAR)


def test_the_port_that_leads_to_a_path_is_that_of_its_last_answer() -> None:
    choice = measured({WAN: 0.040})
    assert (choice.via(WAN), choice.via(LAN)) == (0, 0)
    choice.answered(WAN, 0.040, 2.0, via=7)
    assert choice.via(WAN) == 7


def test_two_paths_whose_round_trips_alternate_do_not_take_turns() -> None:
    choice, present, moves = PathChoice(0.0), WAN, 0
    for second in range(600):
        fast, slow = (LAN, WAN) if second % 2 else (WAN, LAN)
        choice.answered(fast, 0.010, second)
        choice.answered(slow, 0.050, second)
        if (better := choice.better_than(present, second)) is not None:
            present, moves = better, moves + 1
            choice.moved(second)
    assert moves <= 1


@given(st.lists(st.tuples(st.sampled_from([LAN, WAN, FAR]), st.floats(0.0001, 0.3), st.floats(0, 3)), max_size=200))
def test_each_move_gains_something_and_comes_long_after_the_last(answers: list[tuple[Endpoint, float, float]]) -> None:
    choice, present, now, moved_at = PathChoice(0.0), WAN, 0.0, -MIN_STAY_S
    for endpoint, rtt_s, wait in answers:
        now += wait
        choice.answered(endpoint, rtt_s, now)
        better = choice.better_than(present, now)
        if better is None:
            continue
        before, after = choice.rtt_s(present), choice.rtt_s(better)
        assert before is not None
        assert after is not None
        assert before - after > max(MIN_GAIN_S, MIN_GAIN * before)
        assert now >= moved_at + MIN_STAY_S
        present, moved_at = better, now
        choice.moved(now)


def measured(rtts: dict[Endpoint, float], *, at: float = 1.0) -> PathChoice:
    """Each path has answered twice."""
    choice = PathChoice(0.0)
    for endpoint, rtt_s in rtts.items():
        choice.answered(endpoint, rtt_s, at)
        choice.answered(endpoint, rtt_s, at)
    return choice
