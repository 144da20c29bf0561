from hypothesis import given
from hypothesis import strategies as st
from tests.sim.chance import SeededEntropy

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.keepalive import SILENCES_S, SPREAD_S, Keepalive
from shadowmesh.paths.path_choice import PathChoice
from shadowmesh.paths.probe_datagram import ProbeKeys
from shadowmesh.paths.probed_session import FOLLOW_S, MAX_ALTERNATES, SUSPECT_AFTER, ProbedSession, ReplayWindow
from shadowmesh.wire.endpoint import Endpoint

PATH, OTHER, THIRD = (Endpoint.of(f"198.18.0.{number}", 1) for number in (2, 3, 4))


def test_a_value_is_accepted_once() -> None:
    window = ReplayWindow()
    assert window.accept(5)
    assert not window.accept(5)


def test_values_may_overtake_each_other() -> None:
    window = ReplayWindow()
    assert [window.accept(value) for value in (9, 7, 8)] == [True, True, True]


def test_a_value_older_than_the_window_is_refused() -> None:
    window = ReplayWindow()
    for value in range(100, 120):
        assert window.accept(value)
    assert not window.accept(50)


@given(st.lists(st.integers(0, 60), max_size=200))
def test_nothing_is_ever_accepted_twice(values: list[int]) -> None:
    window = ReplayWindow()
    accepted = [value for value in values if window.accept(value)]
    assert len(set(accepted)) == len(accepted)


def test_stamps_rise_although_the_clock_stands_still() -> None:
    probed = session()
    assert probed.stamp(1.0) < probed.stamp(1.0) < probed.stamp(0.5)


def test_the_next_round_is_a_keepalive_away_when_the_peer_was_heard() -> None:
    probed = session()
    probed.heard(100.0, SeededEntropy(1))
    assert abs(probed.due_at - 100.0 - SILENCES_S[0]) <= SPREAD_S
    assert not probed.silent


def test_the_way_that_was_left_is_the_last_alternate() -> None:
    probed = session()
    probed.alternates = (OTHER, THIRD)
    probed.move(OTHER, 0, 1.0)
    assert (probed.path, probed.alternates) == (OTHER, (THIRD, PATH))
    probed.move(PATH, 0, 2.0)
    assert (probed.path, probed.alternates) == (PATH, (THIRD, OTHER))


@given(st.lists(st.integers(1, 20), max_size=40))
def test_alternates_are_bounded_each_once_and_never_the_path(moves: list[int]) -> None:
    probed = session()
    for port in moves:
        if probed.path.port != port:
            probed.move(Endpoint(PATH.address, port), 0, 0.0)
        assert probed.path not in probed.alternates
        assert len(set(probed.alternates)) == len(probed.alternates) <= MAX_ALTERNATES


def test_what_comes_by_the_way_that_was_left_is_late_for_a_while() -> None:
    probed = session()
    probed.move(OTHER, 0, 1.0)
    assert probed.is_late(PATH, 1.0 + FOLLOW_S - 0.01)
    assert not probed.is_late(PATH, 1.0 + FOLLOW_S)
    assert not probed.is_late(THIRD, 1.0)


def test_another_port_to_the_same_endpoint_leaves_no_way() -> None:
    probed = session()
    probed.move(PATH, 7, 1.0)
    assert probed.is_path(PATH, 7)
    assert probed.alternates == ()
    assert not probed.is_late(PATH, 1.0)


def test_nothing_is_late_while_the_path_is_silent() -> None:
    probed = session()
    probed.move(OTHER, 0, 1.0)
    probed.begin_round(1.0, suspect=True)
    probed.round_index = SUSPECT_AFTER + 1
    assert not probed.is_late(PATH, 1.5)


def session() -> ProbedSession:
    a, b = PeerID(b"a" * 20), PeerID(b"b" * 20)
    keys = ProbeKeys.derive(bytes(32), a, b)
    return ProbedSession(b, keys, PATH, PathChoice(0.0), Keepalive(0.0))
