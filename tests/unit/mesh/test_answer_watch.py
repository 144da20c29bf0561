from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.mesh.answer_watch import MIN_REPAIR_INTERVAL_S, PROBE_ANSWER_S, QUIET_S, UNANSWERED_S, AnswerWatch


class Counters:
    """Of the engine, and a report of them every half second."""

    def __init__(self) -> None:
        self.watch = AnswerWatch(0.0)
        self.now = self.rx = self.tx = 0.0

    def report(self, *, received: bool = False, sent: bool = False, rtt_s: float | None = None) -> bool:
        self.now += 0.5
        self.rx += received
        self.tx += sent
        return self.watch.traffic(int(self.rx), int(self.tx), self.now, rtt_s=rtt_s)


def test_a_flow_that_is_answered_no_more_is_asked_about_half_a_second_later() -> None:
    counters = Counters()
    assert not any(counters.report(received=True, sent=True) for _ in range(10))
    assert counters.report(sent=True)
    assert counters.watch.due_at == counters.now + PROBE_ANSWER_S


def test_a_flow_of_the_peer_that_breaks_off_is_asked_about_once_after_a_second() -> None:
    counters = Counters()
    for _ in range(3):
        counters.report(received=True)
    assert counters.watch.quiet_at == counters.now + QUIET_S
    assert not counters.watch.broke_off(counters.now + QUIET_S - 0.01)
    assert counters.watch.broke_off(counters.now + QUIET_S)
    assert not counters.watch.broke_off(counters.now + QUIET_S + 1)


def test_a_single_packet_of_the_peer_is_no_flow() -> None:
    counters = Counters()
    counters.report(received=True)
    counters.now += 5
    counters.report(received=True)
    assert counters.watch.quiet_at == math.inf


def test_a_packet_after_a_pause_has_half_a_second_to_be_answered() -> None:
    counters = Counters()
    for _ in range(5):
        assert not counters.report(sent=True)
        assert not counters.report(received=True)
        counters.now += 20
    assert not counters.report(sent=True)
    assert counters.report(sent=True)


def test_who_sends_nothing_asks_nothing() -> None:
    counters = Counters()
    assert not any(counters.report(received=number % 2 == 0) for number in range(20))
    assert counters.watch.due_at == math.inf


def test_one_probe_is_out_at_a_time() -> None:
    counters = Counters()
    assert [counters.report(sent=True) for _ in range(6)] == [False, True, False, False, False, False]


@pytest.mark.parametrize("sign", ["packets", "handshake"])
def test_a_sign_of_life_calls_off_the_probe(sign: str) -> None:
    counters = _asking()
    if sign == "packets":
        counters.report(received=True, sent=True)
    else:
        counters.watch.heard(counters.now)
    assert counters.watch.due_at == math.inf


def test_a_reply_that_came_after_the_probe_needs_no_handshake_and_the_next_probe_comes_later() -> None:
    counters = _asking()
    due_at = counters.watch.due_at
    assert not counters.watch.judge(due_at - 0.3, due_at)
    assert counters.watch.due_at == math.inf
    assert not counters.report(sent=True)
    assert counters.report(sent=True)


@pytest.mark.parametrize("probed_at", [None, 0.0])
def test_without_a_reply_to_this_probe_a_handshake_is_needed(probed_at: float | None) -> None:
    counters = _asking()
    assert counters.watch.judge(probed_at, counters.watch.due_at)


def test_a_long_path_has_two_round_trips_for_the_reply() -> None:
    counters = Counters()
    for _ in range(2):
        asked = counters.report(sent=True, rtt_s=0.7)
    assert asked
    assert counters.watch.due_at == pytest.approx(counters.now + 1.4)


def test_a_flow_without_answers_on_a_link_without_replies_brings_one_handshake_in_ten_seconds() -> None:
    counters = Counters()
    repairs = []
    while counters.now < 60:
        counters.report(sent=True)
        if counters.now >= counters.watch.due_at and counters.watch.judge(None, counters.now):
            repairs.append(counters.now)
    assert 5 <= len(repairs) <= 60 / MIN_REPAIR_INTERVAL_S


@given(st.lists(st.tuples(st.booleans(), st.booleans())))
def test_a_probe_follows_only_what_was_sent_and_not_answered(reports: list[tuple[bool, bool]]) -> None:
    counters = Counters()
    sent_since_heard = 0
    for received, sent in reports:
        asked = counters.report(received=received, sent=sent)
        sent_since_heard = 0 if received else sent_since_heard + sent
        assert not asked or sent_since_heard > 0
        assert not asked or counters.now >= counters.watch.heard_at + UNANSWERED_S


def _asking() -> Counters:
    counters = Counters()
    assert [counters.report(sent=True) for _ in range(2)] == [False, True]
    return counters
