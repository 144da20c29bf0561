"""Both sides begin, at once or one later than it is waited for: they end with the same session."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.session.adversary import LyingInitiator
from tests.unit.session.harness import (
    BAD,
    DEAD,
    PERFECT,
    Link,
    Node,
    World,
    endpoint,
    identity,
    ordered,
    record,
    until_quiet,
)

from shadowmesh.session.events import DropReason, Role
from shadowmesh.session.limits import REFUSED_S
from shadowmesh.session.messages import Claim

ROUND_TRIP_S = 0.04


def test_when_both_begin_at_once_the_attempt_of_the_lower_peer_id_goes_on() -> None:
    world = World()
    low, high = world.pair(*ordered())
    world.connect(low, high)
    world.connect(high, low)
    world.run()
    assert len(low.sessions) == len(high.sessions) == 1
    assert (low.session.role, high.session.role) == (Role.INITIATOR, Role.RESPONDER)
    assert low.session.psk == high.session.psk
    assert low.handshaker.drops[DropReason.SUPERSEDED] == 1


def test_when_the_lower_one_gets_no_answer_the_higher_one_wins() -> None:
    world = World()
    low, high = world.pair(*ordered())
    world.connect(low, high, [DEAD])
    world.connect(high, low)
    world.run()
    assert (low.session.role, high.session.role) == (Role.RESPONDER, Role.INITIATOR)
    assert low.session.psk == high.session.psk
    assert len(low.sessions) == len(high.sessions) == 1
    assert not low.handshaker.connecting(identity(high.number).peer_id)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_who_began_before_it_was_trusted_has_the_session_one_way_after(order: tuple[int, int]) -> None:
    world = World()
    early, late = refused(world, *(ordered()[place] for place in order))
    assert not late.sessions
    assert world.take_refused(late, early)
    assert late.session.endpoint == early.endpoints[0]
    assert late.session.took_s == pytest.approx(ROUND_TRIP_S)  # not what its owner took
    assert [sent.message for sent in world.sent_by(late) if sent.at == world.now] == [4]
    world.run_until(lambda: bool(early.sessions), 0.1)
    assert early.session.psk == late.session.psk
    world.run()
    assert len(early.sessions) == len(late.sessions) == 1


def test_a_message4_that_is_lost_then_comes_with_the_next_message3() -> None:
    world = World()
    early, late = refused(world)
    world.lose = lambda sent: sent.message == 4
    assert world.take_refused(late, early)
    world.lose = lambda _: False
    world.run_until(lambda: bool(early.sessions), 1.0)
    assert early.session.psk == late.session.psk


def test_who_has_not_sent_message3_for_longer_than_it_would_wait_has_no_session() -> None:
    world = World()
    early, late = refused(world)
    early.handshaker.cancel(identity(2).peer_id, world.now)
    world.run(REFUSED_S)
    assert not world.take_refused(late, early)
    assert not late.sessions


def test_to_trust_one_peer_is_no_answer_to_another_that_waits() -> None:
    world = World()
    _, late = refused(world)
    third = world.node(3)
    assert not world.take_refused(late, third)
    assert not late.sessions


def test_a_forged_message3_that_was_refused_makes_no_session_when_its_name_is_trusted() -> None:
    world = World()
    target, victim = world.node(1), world.node(2)
    liar = LyingInitiator(1)
    liar.read([sent.payload for datagram in liar.flight1 for sent in world.inject(datagram, endpoint(9), target)])
    claim = Claim.of(record(2))
    for datagram in liar.flight3(
        named=identity(2).fingerprint, signer=identity(3), claim=claim, sent_record=record(2).encoded
    ):
        world.inject(datagram, endpoint(9), target)
    assert target.handshaker.drops[DropReason.UNTRUSTED] == 1
    assert not world.take_refused(target, victim)
    assert target.handshaker.drops[DropReason.BAD_SIGNATURE] == 1
    assert not target.sessions


@pytest.mark.parametrize("trusted_after_s", [0.0, 0.01, 0.03, 0.05, 0.07])
def test_who_begins_anew_before_it_is_trusted_need_not_wait_for_what_it_began_before(trusted_after_s: float) -> None:
    world = World()
    early, late = refused(world)
    early.handshaker = world.handshaker(1)
    early.handshaker.allow(identity(2).fingerprint, None)
    world.connect(early, late)
    world.run(trusted_after_s)
    assert world.take_refused(late, early)
    world.run_until(lambda: bool(early.sessions), 0.1)
    assert early.session.psk == late.session.psk


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    link=st.sampled_from([PERFECT, Link(loss=0.2), Link(duplication=0.5, reordering=0.5), BAD]),
    trusted_at=st.floats(0, 3),
)
def test_whenever_trust_becomes_mutual_both_end_with_the_same_session(seed: int, link: Link, trusted_at: float) -> None:
    world = World(seed, link)
    early, late = world.node(1), world.node(2)
    early.handshaker.allow(identity(2).fingerprint, None)
    world.connect(early, late)
    world.run(trusted_at)
    if not world.take_refused(late, early):
        world.connect(late, early)
    until_quiet(world, early, late)
    assert early.session.psk == late.session.psk


def test_who_is_trusted_late_meets_the_attempt_that_it_ignored_until_then_at_once() -> None:
    world = World()
    low, high = world.node(ordered()[0]), world.node(ordered()[1])
    low.handshaker.allow(identity(high.number).fingerprint, None)
    world.connect(low, high)
    world.run(8.0)  # its third retransmission is out, the next one due in four seconds
    high.handshaker.allow(identity(low.number).fingerprint, None)
    began_at, flights = world.now, len(world.sent_by(low, 3))
    world.connect(high, low)
    world.run_until(lambda: bool(low.sessions), 0.2)
    assert world.now - began_at == pytest.approx(3 * ROUND_TRIP_S / 2)
    world.run()
    assert low.session.psk == high.session.psk
    assert len(world.sent_by(low, 3)) == flights


def test_an_own_message3_that_was_just_sent_is_sent_once_more_when_the_peer_begins() -> None:
    world = World()
    low, high = world.node(ordered()[0]), world.node(ordered()[1])
    low.handshaker.allow(identity(high.number).fingerprint, None)
    world.connect(low, high)
    world.run(0.3)
    high.handshaker.allow(identity(low.number).fingerprint, None)
    began_at, before = world.now, world.sent_by(low, 3)
    world.connect(high, low)
    world.run_until(lambda: bool(low.sessions), 0.2)
    assert world.now - began_at == pytest.approx(5 * ROUND_TRIP_S / 2)
    world.run()
    assert low.session.psk == high.session.psk
    assert low.session.role is Role.INITIATOR
    assert [sent.payload for sent in world.sent_by(low, 3)] == [sent.payload for sent in before] * 2


@pytest.mark.parametrize("lost_at_s", [0.05, 0.07])
def test_a_peer_that_loses_its_half_of_the_exchange_and_begins_anew_need_not_wait_for_the_old_attempt(
    lost_at_s: float,
) -> None:
    world = World()
    low, high = world.pair(*ordered())
    world.lose = lambda sent: sent.message == 3
    world.connect(low, high)
    world.run(lost_at_s)
    high.handshaker = world.handshaker(high.number)
    world.trust(low, high)
    world.lose = lambda _: False
    world.connect(high, low)
    world.run_until(lambda: bool(low.sessions), 2.0)
    world.run()
    assert low.session.psk == high.session.psk
    assert low.session.role is Role.RESPONDER


def test_a_message3_that_comes_after_the_other_attempt_has_won_does_not_undo_it() -> None:
    world = World()
    low, high = world.pair(*ordered())
    world.lose = lambda sent: sent.message == 3 and sent.source == high.endpoints[0]
    world.connect(low, high)
    world.connect(high, low)
    world.run(1)
    late = [sent.payload for sent in world.sent_by(high, 3)]
    for _ in range(2):
        for datagram in late:
            world.inject(datagram, high.endpoints[0], low)
    assert len(low.sessions) == 1
    assert low.session.psk == high.session.psk
    assert low.handshaker.drops[DropReason.SUPERSEDED] == 1


def test_the_message3_of_an_earlier_attempt_does_not_undo_the_later_session() -> None:
    world = World()
    a, b = world.pair()
    world.lose = lambda sent: sent.message == 3
    world.connect(a, b)
    world.run(0.3)
    late = [sent.payload for sent in world.sent_by(a, 3)]
    a.handshaker.cancel(identity(2).peer_id, world.now)
    world.lose = lambda _: False
    world.connect(a, b)
    world.run(1)
    for datagram in late:
        world.inject(datagram, a.endpoints[0], b)
    assert len(b.sessions) == 1
    assert a.session.psk == b.session.psk


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    link=st.sampled_from([PERFECT, Link(loss=0.2), Link(duplication=0.5, reordering=0.5), BAD]),
    starts=st.lists(st.tuples(st.booleans(), st.floats(0, 2)), min_size=1, max_size=6),
)
def test_whoever_begins_whenever_over_whatever_network_both_end_with_the_same_session(
    seed: int, link: Link, starts: list[tuple[bool, float]]
) -> None:
    world = World(seed, link)
    a, b = world.pair()
    for from_a, pause in starts:
        world.connect(*((a, b) if from_a else (b, a)))
        world.run(pause)
    until_quiet(world, a, b)
    assert a.session.psk == b.session.psk
    assert a.session.probe_key == b.session.probe_key


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    link=st.sampled_from([PERFECT, BAD]),
    pause=st.sampled_from([0.0, 0.001, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.5]),
    dead_first=st.tuples(st.booleans(), st.booleans()),
)
def test_both_begin_and_each_reaches_the_other_at_one_of_two_endpoints(
    seed: int, link: Link, pause: float, dead_first: tuple[bool, bool]
) -> None:
    world = World(seed, link)
    a, b = world.pair()
    for first, second, dead in ((a, b, dead_first[0]), (b, a, dead_first[1])):
        world.connect(first, second, [DEAD, *second.endpoints] if dead else [*second.endpoints, DEAD])
        world.run(pause)
    until_quiet(world, a, b)
    assert a.session.psk == b.session.psk


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    link=st.sampled_from([PERFECT, BAD]),
    pause=st.sampled_from([0.0, 0.02, 0.04, 0.06]),
    broken=st.sampled_from([None, 0, 1]),
)
def test_over_two_paths_of_which_one_may_be_broken_both_end_with_the_same_session(
    seed: int, link: Link, pause: float, broken: int | None
) -> None:
    world = World(seed, link)
    a = world.node(1, endpoints=[endpoint(1), endpoint(11)])
    b = world.node(2, endpoints=[endpoint(2), endpoint(12)])
    world.trust(a, b)
    if broken is not None:
        dead = (a.endpoints[broken], b.endpoints[broken])
        world.lose = lambda sent: sent.source in dead
    world.connect(a, b)
    world.run(pause)
    world.connect(b, a)
    until_quiet(world, a, b)
    assert a.session.psk == b.session.psk


def refused(world: World, first: int = 1, second: int = 2) -> tuple[Node, Node]:
    """The first waits for the second, which does not trust it."""
    early, late = world.node(first), world.node(second)
    early.handshaker.allow(identity(second).fingerprint, None)
    world.connect(early, late)
    world.run(0.3)
    return early, late
