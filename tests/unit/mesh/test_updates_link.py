from tests.sim.chance import SeededEntropy

from shadowmesh.mesh.outputs import OpenUpdates
from shadowmesh.mesh.updates_link import MAX_FAILURES, UpdatesLink, UpdatesState


def test_a_log_in_opens_the_updates() -> None:
    link = UpdatesLink(entropy=SeededEntropy(1))
    link.start(0.0)
    assert link.poll() == OpenUpdates()
    assert link.opened(0.1)
    assert link.state is UpdatesState.OPEN


def test_a_lost_connection_is_opened_again_after_a_pause() -> None:
    link = opened()
    link.closed(100.0)
    assert link.poll() is None
    due_at = link.next_timeout()
    assert due_at is not None
    assert due_at >= 101.0
    link.handle_timeout(due_at - 0.01)
    assert link.poll() is None
    link.handle_timeout(due_at)
    assert link.poll() == OpenUpdates()
    assert link.next_timeout() is None


def test_on_a_changed_network_an_open_connection_is_opened_anew() -> None:
    link = opened()
    link.reopen(5.0)
    assert link.poll() == OpenUpdates()
    assert link.state is UpdatesState.OPENING


def test_on_a_changed_network_a_pause_ends_and_failures_are_forgotten() -> None:
    link = opened()
    link.closed(1.0)
    link.reopen(1.1)
    assert link.poll() == OpenUpdates()
    assert link.next_timeout() is None
    assert not link.exhausted


def test_who_is_not_logged_in_opens_nothing_on_a_changed_network() -> None:
    link = UpdatesLink(entropy=SeededEntropy(1))
    link.reopen(0.0)
    assert link.poll() is None


def test_a_node_that_hangs_up_again_and_again_is_given_up() -> None:
    link = opened()
    now = 0.0
    for _ in range(MAX_FAILURES - 1):
        link.closed(now)
        assert not link.exhausted
        now = link.next_timeout() or 0.0
        link.handle_timeout(now)
        link.opened(now)
    link.closed(now)
    assert link.exhausted


def test_a_connection_that_held_for_a_while_forgives_what_was_before() -> None:
    link = opened()
    now = 0.0
    for _ in range(3 * MAX_FAILURES):
        now += 60.0
        link.closed(now)
        now = link.next_timeout() or 0.0
        link.handle_timeout(now)
        link.opened(now)
    assert not link.exhausted


def test_what_is_heard_after_the_end_means_nothing() -> None:
    link = opened()
    link.stop()
    link.closed(1.0)
    assert not link.opened(2.0)
    assert link.state is UpdatesState.OFF
    assert link.next_timeout() is None


def opened() -> UpdatesLink:
    link = UpdatesLink(entropy=SeededEntropy(1))
    link.start(0.0)
    link.opened(0.0)
    link.poll()
    return link
