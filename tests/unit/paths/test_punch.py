"""One attempt's schedule; whole attempts are in tests/sim."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sim.chance import SeededEntropy

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.nat_behaviour import UNKNOWN_NAT, Mapping, NatBehaviour, PortRange
from shadowmesh.paths.punch import (
    GIVE_UP_AFTER_S,
    HOLD_OFFSETS_S,
    MAX_LEARNT,
    MAX_TARGETS,
    PLAIN_GIVE_UP_AFTER_S,
    PROBE_OFFSETS_S,
    SPRAY_AFTER_S,
    SPRAY_BATCH,
    SPRAY_INTERVAL_S,
    Punch,
    Target,
)
from shadowmesh.paths.punch_plan import MAX_SPRAY_PROBES, Role
from shadowmesh.wire.endpoint import Endpoint

PEER = PeerID(b"b" * 20)
OUTSIDE, INSIDE = Endpoint.of("203.0.113.2", 41641), Endpoint.of("192.168.1.2", 41641)
OUTSIDE_6 = Endpoint.of("2001:db8::2", 41641)
EASY, HARD = NatBehaviour(Mapping.ENDPOINT_INDEPENDENT), NatBehaviour(Mapping.ADDRESS_AND_PORT_DEPENDENT)
OPEN = NatBehaviour(Mapping.NONE)
CANDIDATES = (
    Candidate(CandidateKind.SERVER_REFLEXIVE, OUTSIDE_6),
    Candidate(CandidateKind.SERVER_REFLEXIVE, OUTSIDE),
    Candidate(CandidateKind.HOST, INSIDE),
)


@given(st.lists(st.floats(0, 4), min_size=1, max_size=20))
def test_a_target_is_due_only_ahead_once_it_was_sent_to(waits: list[float]) -> None:
    target, now = Target(OUTSIDE, CandidateKind.HOST, 0.0), 0.0
    for wait in waits:
        now += wait
        target.skip_to(now)
        assert target.due_at is None or target.due_at > now
    assert target.sent <= len(PROBE_OFFSETS_S)


def test_a_target_that_answered_is_left_alone() -> None:
    target = Target(OUTSIDE, CandidateKind.HOST, 0.0)
    target.answered = True
    assert not target.is_due(100.0)


def test_a_candidate_is_one_target_however_often_it_is_told() -> None:
    punch = punching(EASY, EASY)
    punch.add(CANDIDATES, 3.0)
    assert [target.began_at for target in punch.targets.values()] == [0.0] * 3


@given(st.lists(st.tuples(st.sampled_from(CandidateKind), st.integers(1, 65535)), max_size=200))
def test_targets_and_learnt_sources_are_bounded(told: list[tuple[CandidateKind, int]]) -> None:
    punch = Punch(PEER, EASY, NatBehaviour(HARD.mapping, step=1), 0.0)
    for kind, port in told:
        punch.learn(Endpoint(INSIDE.address, port), 0.0)
        punch.add([Candidate(kind, Endpoint(OUTSIDE.address, port))], 0.0)
    assert len(punch.targets) <= MAX_TARGETS + MAX_LEARNT


def test_the_outside_of_a_peer_is_what_servers_see_of_its_ipv4() -> None:
    assert punching(EASY, HARD).outside == OUTSIDE
    assert punching(HARD, EASY).outside == OUTSIDE


def test_the_outside_of_a_peer_without_nat_is_its_own_address() -> None:
    assert punching(HARD, OPEN).outside == INSIDE


def test_without_an_outside_address_nothing_is_tried_at_random() -> None:
    for own, peer in ((EASY, HARD), (HARD, EASY)):
        punch = Punch(PEER, own, peer, 0.0)
        punch.add([CANDIDATES[0]], 0.0)
        assert punch.spray_due_at() is None
        assert punch.hold_due_at() is None


@pytest.mark.parametrize(("block", "count"), [(None, MAX_SPRAY_PROBES), (PortRange(5000, 5009), 10)])
def test_a_spray_has_its_whole_number_in_even_batches(block: PortRange | None, count: int) -> None:
    punch, entropy, ports = punching(EASY, NatBehaviour(HARD.mapping, block=block)), SeededEntropy(1), []
    now = punch.spray_due_at()
    assert now == SPRAY_AFTER_S
    while (batch := punch.next_spray(entropy, now)) != []:
        assert len(batch) <= SPRAY_BATCH
        assert punch.spray_due_at() == now + SPRAY_INTERVAL_S
        ports += batch
        now += SPRAY_INTERVAL_S
    assert len(set(ports)) == len(ports) == count
    assert {endpoint.address for endpoint in ports} == {OUTSIDE.address}
    assert now < GIVE_UP_AFTER_S - 2
    due_at = punch.spray_due_at()
    assert due_at is not None
    assert due_at > punch.give_up_at


def test_on_a_busy_machine_all_ports_are_tried_before_the_attempt_is_over() -> None:
    assert sprayed(late_s=0.15) == MAX_SPRAY_PROBES


def test_a_machine_that_slept_does_not_flood_its_router() -> None:
    punch = punching(EASY, HARD)
    punch.next_spray(SeededEntropy(1), SPRAY_AFTER_S)
    assert len(punch.next_spray(SeededEntropy(2), 8.0)) < 50


def test_after_a_batch_the_next_one_is_due_later() -> None:
    punch = punching(EASY, HARD)
    for now in (SPRAY_AFTER_S, 1.021, 1.5, 1.53, 8.0):
        punch.next_spray(SeededEntropy(1), now)
        due_at = punch.spray_due_at()
        assert due_at is not None
        assert due_at > now


def test_a_role_that_is_known_late_gets_its_whole_time() -> None:
    punch = punching(UNKNOWN_NAT, HARD)
    punch.nats_are(HARD, HARD, 2.0)
    assert punch.role is Role.NONE
    assert punch.give_up_at == 2.0 + PLAIN_GIVE_UP_AFTER_S
    punch.nats_are(HARD, HARD, 4.0)
    assert punch.give_up_at == 2.0 + PLAIN_GIVE_UP_AFTER_S


def test_roles_that_change_without_end_do_not_keep_an_attempt_alive() -> None:
    punch = punching(HARD, HARD)
    for second in range(100):
        punch.nats_are(HARD, EASY if second % 2 else HARD, float(second))
    assert punch.give_up_at < 2 * GIVE_UP_AFTER_S


def test_holding_waits_until_the_ports_are_there() -> None:
    punch = punching(HARD, EASY)
    assert punch.hold_due_at() == SPRAY_AFTER_S
    punch.ports_asked, punch.waits_for_ports = punch.ports_to_ask, True
    assert punch.hold_due_at() is None
    punch.waits_for_ports = False
    punch.held_ports = (7,)
    sent_at = []
    while (due_at := punch.hold_due_at()) is not None:
        sent_at.append(due_at)
        punch.skip_holds(due_at)
    assert sent_at == [SPRAY_AFTER_S + offset for offset in HOLD_OFFSETS_S]


def test_a_found_path_ends_spray_and_holding() -> None:
    for own, peer in ((EASY, HARD), (HARD, EASY)):
        punch = punching(own, peer)
        punch.found = True
        assert (punch.spray_due_at(), punch.hold_due_at()) == (None, None)


def test_a_few_held_ports_are_handed_over_each_as_often_as_it_is_met() -> None:
    punch = punching(HARD, EASY)
    punch.held_ports = tuple(range(1, 10))
    assert [punch.hand_over(port) for port in punch.held_ports] == [True] * MAX_LEARNT + [False] * (9 - MAX_LEARNT)
    assert punch.hand_over(1)


def test_stamps_rise_even_when_the_clock_does_not() -> None:
    punch = punching(EASY, EASY)
    stamps = [punch.stamp(now) for now in (1.0, 1.0, 0.5, 2.0)]
    assert stamps == [1_000_000, 1_000_001, 1_000_002, 2_000_000]


def punching(own: NatBehaviour, peer: NatBehaviour) -> Punch:
    punch = Punch(PEER, own, peer, 0.0)
    punch.add(CANDIDATES, 0.0)
    return punch


def sprayed(*, late_s: float) -> int:
    """How many ports are tried when each timer comes late."""
    punch, entropy, count = punching(EASY, HARD), SeededEntropy(1), 0
    while (due_at := punch.spray_due_at()) is not None and due_at < punch.give_up_at:
        count += len(punch.next_spray(entropy, due_at + late_s))
    return count
