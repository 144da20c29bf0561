from shadowmesh.identity.names import PeerID
from shadowmesh.mesh.calls import MIN_INTERVAL_S
from shadowmesh.mesh.path_search import ASK_FIRST_S, NEWS_S, REPEAT_S, SETTLE_S, PathSearch

A, B = PeerID(b"a" * 20), PeerID(b"b" * 20)


def silent(_: PeerID) -> bool:
    return True


def heard(_: PeerID) -> bool:
    return False


def test_a_silent_peer_is_called_after_stun_had_time_to_answer_and_again_while_it_is_silent() -> None:
    search = PathSearch()
    search.path_silent(A, 10.0)
    assert search.due(silent, 10.0) == []
    assert search.next_timeout() == 10.0 + ASK_FIRST_S
    assert search.due(silent, 10.0 + ASK_FIRST_S) == [A]
    assert search.next_timeout() == 10.0 + ASK_FIRST_S + REPEAT_S
    assert search.due(silent, 10.0 + ASK_FIRST_S + REPEAT_S) == [A]


def test_a_peer_that_was_heard_meanwhile_is_not_called() -> None:
    search = PathSearch()
    search.path_silent(A, 10.0)
    assert search.due(heard, 10.0 + ASK_FIRST_S) == []
    assert search.next_timeout() is None


def test_after_a_change_of_network_all_are_called_silent_or_not() -> None:
    search = PathSearch()
    search.network_changed([A, B], 10.0)
    assert search.due(heard, 10.0 + ASK_FIRST_S) == [A, B]


def test_an_address_that_is_learnt_is_told_at_once_and_no_more_often_than_a_second() -> None:
    search = PathSearch()
    search.network_changed([A], 10.0)
    search.addresses_changed(10.02)
    assert search.due(heard, 10.02 + SETTLE_S) == [A]
    search.addresses_changed(10.2)
    assert search.next_timeout() == 10.02 + SETTLE_S + MIN_INTERVAL_S
    assert search.due(heard, 10.02 + SETTLE_S + MIN_INTERVAL_S) == [A]


def test_what_is_learnt_long_after_a_change_of_network_is_not_told() -> None:
    search = PathSearch()
    search.network_changed([A], 10.0)
    assert search.due(heard, 10.0 + ASK_FIRST_S) == [A]
    assert search.due(heard, 10.0 + NEWS_S) == []
    search.addresses_changed(30.0)
    assert search.next_timeout() is None


def test_when_calls_are_passed_on_again_what_was_called_before_is_repeated() -> None:
    search = PathSearch()
    search.path_silent(A, 10.0)
    assert search.due(silent, 10.5) == [A]
    search.link_opened(11.0)
    assert search.due(silent, 10.5 + MIN_INTERVAL_S) == [A]


def test_a_peer_without_a_session_is_forgotten() -> None:
    search = PathSearch()
    search.path_silent(A, 10.0)
    search.stop(A)
    search.stop(B)
    assert search.next_timeout() is None
