from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.sim.chance import SeededEntropy
from tests.unit.paths.punching import (
    APD,
    CANDIDATES,
    COUNTING,
    EASY,
    ELSEWHERE,
    HARD,
    INSIDE,
    OTHER,
    OUTSIDE,
    OWN,
    PEER,
    TOKEN,
    TOKEN_2,
    answer,
    call,
    calling,
    drained,
    holding,
    probe_of_peer,
    reply_of_peer,
    transmits,
    wanting,
)

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.events import PathFound, PortLearnt, PortsReleased, PortsWanted
from shadowmesh.paths.nat_behaviour import NatBehaviour, PortRange
from shadowmesh.paths.punch import (
    GIVE_UP_AFTER_S,
    MAX_LEARNT,
    SPRAY_AFTER_S,
)
from shadowmesh.paths.punch_plan import COUNTED_SOCKETS, MAX_SOCKETS, MAX_SPRAY_PROBES
from shadowmesh.paths.puncher import (
    PunchDrop,
    Puncher,
)
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

# The peer's router counts: its next ports are guessed.


def test_the_ports_that_come_next_are_probed_beside_the_one_that_is_known() -> None:
    puncher = calling(own_nat=EASY, peer_nat=COUNTING, candidates=CANDIDATES[:1])
    assert [probe.destination.port for probe in transmits(puncher)] == [41641, *range(41642, 41658)]


def test_between_two_that_count_the_known_port_is_left_out() -> None:
    puncher = calling(own_nat=COUNTING, peer_nat=COUNTING, candidates=CANDIDATES[:1])
    assert [probe.destination.port for probe in transmits(puncher)] == [*range(41642, 41658)]


def test_an_ipv6_address_is_not_guessed_at() -> None:
    candidate = Candidate(CandidateKind.SERVER_REFLEXIVE, Endpoint.of("2001:db8::2", 41641))
    puncher = calling(own_nat=COUNTING, peer_nat=COUNTING, candidates=[candidate])
    assert [probe.destination for probe in transmits(puncher)] == [candidate.endpoint]


# The peer holds ports: they are tried at random.


def test_a_spray_has_a_pace_and_an_end() -> None:
    puncher = calling(own_nat=EASY, peer_nat=HARD)
    ports, now = [], 0.0
    announced = {candidate.endpoint for candidate in CANDIDATES}
    while puncher.is_punching(PEER):
        before = now
        now = puncher.next_timeout() or now
        drawn = [probe for probe in transmits(puncher) if probe.destination not in announced]
        assert len(drawn) <= 4
        assert not drawn or before >= SPRAY_AFTER_S
        ports += [probe.destination.port for probe in drawn]
        puncher.handle_timeout(now)
    assert MAX_SPRAY_PROBES - 1 <= len(set(ports)) == len(ports) <= MAX_SPRAY_PROBES
    assert min(ports) >= 1024


def test_a_spray_stays_within_the_block_that_the_peer_told() -> None:
    puncher = calling(own_nat=EASY, peer_nat=NatBehaviour(HARD.mapping, APD, 0, PortRange(5000, 5011)))
    drained(puncher)
    ports = []
    while puncher.is_punching(PEER):
        puncher.handle_timeout(puncher.next_timeout() or 0.0)
        ports += [probe.destination.port for probe in transmits(puncher) if probe.destination not in (OUTSIDE, INSIDE)]
    assert sorted(ports) == [*range(5000, 5012)]


def test_a_path_ends_the_spray() -> None:
    puncher = calling(own_nat=EASY, peer_nat=HARD)
    drained(puncher)
    puncher.handle_timeout(SPRAY_AFTER_S)
    hit = transmits(puncher)[-1]
    answer(puncher, hit, now=1.01)
    assert drained(puncher) == [
        PathFound(PEER, hit.destination, 0, pytest.approx(0.01), CandidateKind.PEER_REFLEXIVE)  # type: ignore[arg-type]  # approx compares with any number
    ]
    puncher.handle_timeout(1.02)
    assert transmits(puncher) == []


# We hold ports.


def test_ports_are_asked_for_when_plain_probes_had_their_time() -> None:
    puncher = calling(own_nat=HARD, peer_nat=EASY)
    puncher.handle_timeout(SPRAY_AFTER_S - 0.01)
    assert not [output for output in drained(puncher) if isinstance(output, PortsWanted)]
    puncher.handle_timeout(SPRAY_AFTER_S)
    assert drained(puncher) == [PortsWanted(PEER, MAX_SOCKETS)]


def test_each_held_port_sends_to_the_peers_one_address_three_times() -> None:
    puncher = holding(3)
    sent = []
    while (due_at := puncher.next_timeout()) is not None:
        sent += [(probe.via, probe.destination) for probe in transmits(puncher) if probe.via]
        puncher.handle_timeout(due_at)
    assert sent == [(1, OUTSIDE), (2, OUTSIDE), (3, OUTSIDE)] * 3


def test_ports_that_open_late_send_once_and_the_next_deadline_lies_ahead() -> None:
    puncher = wanting()
    puncher.ports_opened(PEER, [1], 5.5)
    assert len([probe for probe in transmits(puncher) if probe.via]) == 1
    due_at = puncher.next_timeout()
    assert due_at is not None
    assert due_at > 5.5


def test_all_ports_are_released_at_the_end() -> None:
    puncher = holding(3)
    drained(puncher)
    puncher.handle_timeout(GIVE_UP_AFTER_S)
    assert PortsReleased((1, 2, 3)) in drained(puncher)


def test_all_ports_are_released_when_it_is_stopped() -> None:
    puncher = holding(3)
    drained(puncher)
    puncher.stop(PEER)
    assert drained(puncher) == [PortsReleased((1, 2, 3))]


def test_the_port_of_the_path_is_kept_and_the_others_are_released() -> None:
    puncher = holding(3)
    _, second, _ = (probe for probe in transmits(puncher) if probe.via)
    answer(puncher, second, now=1.2)
    released, found = drained(puncher)
    assert released == PortsReleased((1, 3))
    assert isinstance(found, PathFound)
    assert found.via == 2
    puncher.stop(PEER)
    assert puncher.poll() is None


def test_a_reply_through_a_port_that_was_closed_meanwhile_is_no_path() -> None:
    puncher = holding(3)
    first, second, _ = (probe for probe in transmits(puncher) if probe.via)
    answer(puncher, first, now=1.2)
    drained(puncher)
    answer(puncher, second, now=1.2)
    puncher.receive_datagram(probe_of_peer(7), ELSEWHERE, 3, 1.2)
    assert drained(puncher) == []
    assert puncher.drops == {PunchDrop.FOREIGN_PORT.value: 2}


def test_what_comes_through_a_held_port_is_answered_and_probed_through_it() -> None:
    puncher = holding(3)
    drained(puncher)
    puncher.receive_datagram(probe_of_peer(7), ELSEWHERE, 2, 1.2)
    reply, learnt, probe = drained(puncher)
    assert learnt == PortLearnt(PEER, ELSEWHERE, 2)
    assert isinstance(reply, Transmit)
    assert isinstance(probe, Transmit)
    assert (reply.via, reply.destination, probe.via, probe.destination) == (2, ELSEWHERE, 2, ELSEWHERE)


def test_a_port_that_the_peer_came_through_outlives_the_attempt() -> None:
    """The reply to our probe may be lost while the peer's handshake already passes through the port."""
    puncher = holding(3)
    drained(puncher)
    puncher.receive_datagram(probe_of_peer(7), ELSEWHERE, 2, 1.2)
    drained(puncher)
    puncher.stop(PEER)
    assert drained(puncher) == [PortsReleased((1, 3))]


def test_a_peer_can_not_keep_more_than_a_few_ports_open() -> None:
    puncher = holding(100)
    drained(puncher)
    for port in range(1, 101):
        puncher.receive_datagram(probe_of_peer(port), ELSEWHERE, port, 1.2)
    learnt = {output.via for output in drained(puncher) if isinstance(output, PortLearnt)}
    puncher.stop(PEER)
    (released,) = drained(puncher)
    assert isinstance(released, PortsReleased)
    assert len(learnt) == MAX_LEARNT
    assert learnt.isdisjoint(released.ports)
    assert len(learnt) + len(released.ports) == 100


def test_ports_that_come_too_late_are_released() -> None:
    puncher = wanting()
    puncher.stop(PEER)
    puncher.ports_opened(PEER, [1, 2], 1.1)
    assert drained(puncher) == [PortsReleased((1, 2))]


def test_ports_for_an_attempt_that_was_stopped_are_not_the_next_ones() -> None:
    puncher = wanting()
    puncher.stop(PEER)
    call(puncher, own_nat=HARD, peer_nat=EASY, now=1.1)
    drained(puncher)
    puncher.ports_opened(PEER, [1, 2], 1.2)
    assert drained(puncher) == [PortsReleased((1, 2))]


def test_ports_that_nobody_asked_for_a_second_time_are_released() -> None:
    puncher = holding(2)
    drained(puncher)
    puncher.ports_opened(PEER, [3, 4], 1.2)
    assert drained(puncher) == [PortsReleased((3, 4))]


def test_a_nat_that_is_found_not_to_count_after_all_gets_the_rest_of_the_ports() -> None:
    puncher = calling(own_nat=COUNTING)
    puncher.handle_timeout(SPRAY_AFTER_S)
    (wanted,) = (output for output in drained(puncher) if isinstance(output, PortsWanted))
    puncher.ports_opened(PEER, range(50_000, 50_000 + wanted.count), SPRAY_AFTER_S)
    call(puncher, own_nat=HARD, now=2.0)
    puncher.handle_timeout(2.0 + SPRAY_AFTER_S)
    (more,) = (output for output in drained(puncher) if isinstance(output, PortsWanted))
    assert wanted.count + more.count == MAX_SOCKETS


def test_a_nat_that_is_found_to_count_gets_fresh_ports_for_those_that_are_spent() -> None:
    puncher = holding(256)
    call(puncher, own_nat=COUNTING, now=2.0)
    assert PortsReleased(tuple(range(1, 257))) in drained(puncher)
    puncher.handle_timeout(2.0 + SPRAY_AFTER_S)
    assert PortsWanted(PEER, COUNTED_SOCKETS) in drained(puncher)


def test_one_attempt_at_a_time_holds_ports() -> None:
    puncher = wanting()
    call(puncher, peer=OTHER, token=TOKEN_2, own_nat=HARD, peer_nat=EASY)
    puncher.handle_timeout(SPRAY_AFTER_S + 0.1)
    assert not [output for output in drained(puncher) if isinstance(output, PortsWanted)]
    puncher.stop(PEER)
    puncher.handle_timeout(SPRAY_AFTER_S + 1.5)
    assert PortsWanted(OTHER, MAX_SOCKETS) in drained(puncher)


def test_when_the_system_gives_no_ports_another_attempt_may_ask() -> None:
    puncher = wanting()
    call(puncher, peer=OTHER, token=TOKEN_2, own_nat=HARD, peer_nat=EASY)
    puncher.ports_opened(PEER, [], 1.0)
    puncher.handle_timeout(SPRAY_AFTER_S + 1.5)
    assert PortsWanted(OTHER, MAX_SOCKETS) in drained(puncher)


def test_a_hit_opens_the_path_on_both_sides() -> None:
    """The peer's spray meets one of our held ports: each side finds the path that it was met on."""
    ours, theirs = (
        Puncher(OWN, entropy=SeededEntropy(1), ids=OpenIds()),
        Puncher(PEER, entropy=SeededEntropy(2), ids=OpenIds()),
    )
    nat = NatBehaviour(HARD.mapping, APD, 0, PortRange(6000, 6003))
    seen = Candidate(CandidateKind.SERVER_REFLEXIVE, Endpoint.of("198.51.100.1", 6000))
    call(ours, own_nat=nat, peer_nat=EASY)
    theirs.start(OWN, TOKEN, [seen], own_nat=EASY, peer_nat=nat, now=0.0)
    drained(ours), drained(theirs)
    ours.handle_timeout(1.0)
    assert PortsWanted(PEER, 1) in drained(ours)
    ours.ports_opened(PEER, [1], 1.0)
    drained(ours)
    theirs.handle_timeout(1.0)
    hit = next(probe for probe in transmits(theirs) if probe.destination.port == 6002)
    ours.receive_datagram(hit.payload, OUTSIDE, 1, 1.05)
    reply, probe = transmits(ours)
    theirs.receive_datagram(reply.payload, hit.destination, 0, 1.1)
    assert [output.path for output in drained(theirs) if isinstance(output, PathFound)] == [hit.destination]
    theirs.receive_datagram(probe.payload, hit.destination, 0, 1.1)
    answered = transmits(theirs)[0]
    ours.receive_datagram(answered.payload, OUTSIDE, 1, 1.15)
    found = [output for output in drained(ours) if isinstance(output, PathFound)]
    assert [(each.path, each.via) for each in found] == [(OUTSIDE, 1)]


class PortsComeBack(RuleBasedStateMachine):
    """Whatever comes in which order: each opened port is released once, or handed over with a path or a source."""

    PEERS = (PEER, OTHER)

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.puncher = Puncher(OWN, entropy=SeededEntropy(3), ids=OpenIds())
        self.wanted: list[PortsWanted] = []
        self.open: dict[int, PeerID] = {}
        self.handed_over: set[int] = set()
        self.asked: list[Transmit] = []
        self.next_port = 1
        self.next_sent_at = 1

    @rule(which=st.integers(0, 1), token=st.integers(0, 3), own=st.sampled_from([EASY, HARD, COUNTING]))
    def call(self, which: int, token: int, own: NatBehaviour) -> None:
        peer_nat = HARD if own is EASY else EASY
        call(
            self.puncher,
            peer=self.PEERS[which],
            token=bytes([token]) * 16,
            own_nat=own,
            peer_nat=peer_nat,
            now=self.now,
        )
        self.drain()

    @rule(which=st.integers(0, 1))
    def stop(self, which: int) -> None:
        self.puncher.stop(self.PEERS[which])
        self.drain()

    @precondition(lambda self: self.wanted)
    @rule(data=st.data(), count=st.integers(0, 5))
    def ports_open(self, data: st.DataObject, count: int) -> None:
        wanted = self.wanted.pop(data.draw(st.integers(0, len(self.wanted) - 1)))
        assert wanted.peer is not None
        assert wanted.count <= MAX_SOCKETS
        ports = range(self.next_port, self.next_port + count)
        self.next_port += count
        self.open |= dict.fromkeys(ports, wanted.peer)
        self.puncher.ports_opened(wanted.peer, ports, self.now)
        self.drain()

    @rule(wait=st.sampled_from([0.0, 0.01, 0.5, 1.0, 3.0, 20.0]))
    def time_passes(self, wait: float) -> None:
        self.now += wait
        self.puncher.handle_timeout(self.now)
        self.drain()
        due_at = self.puncher.next_timeout()
        assert due_at is None or due_at > self.now

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), which=st.integers(0, 1), token=st.integers(0, 3))
    def reply_comes(self, data: st.DataObject, which: int, token: int) -> None:
        probe = data.draw(st.sampled_from(self.asked[-40:]))
        reply = reply_of_peer(probe, bytes([token]) * 16, self.PEERS[which])
        assert probe.via is not None
        self.receive(reply, probe.destination, probe.via)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), which=st.integers(0, 1), token=st.integers(0, 3))
    def probe_comes(self, data: st.DataObject, which: int, token: int) -> None:
        via = data.draw(st.sampled_from([0, *self.open]))
        self.next_sent_at += 1
        self.receive(probe_of_peer(self.next_sent_at, bytes([token]) * 16, self.PEERS[which]), ELSEWHERE, via)

    @rule(data=st.binary(max_size=80), via=st.integers(0, 9))
    def noise_comes(self, data: bytes, via: int) -> None:
        self.receive(data, OUTSIDE, via)

    @invariant()
    def one_attempt_holds_ports(self) -> None:
        assert len({peer for port, peer in self.open.items() if port not in self.handed_over}) <= 1

    @invariant()
    def who_does_not_punch_holds_nothing(self) -> None:
        held = {peer for port, peer in self.open.items() if port not in self.handed_over}
        assert all(self.puncher.is_punching(peer) for peer in held)

    def teardown(self) -> None:
        for peer in self.PEERS:
            self.puncher.stop(peer)
        self.drain()
        assert set(self.open) <= self.handed_over

    def receive(self, data: bytes, source: Endpoint, via: int) -> None:
        self.puncher.receive_datagram(data, source, via, self.now)
        self.drain()

    def drain(self) -> None:
        for output in drained(self.puncher):
            match output:
                case PortsWanted():
                    self.wanted.append(output)
                case PortsReleased(ports=ports):
                    for port in ports:
                        assert port not in self.handed_over
                        del self.open[port]
                case PathFound(via=via) | PortLearnt(via=via) if via:
                    assert via in self.open
                    self.handed_over.add(via)
                case Transmit(via=via):
                    assert via == 0 or via in self.open
                    self.asked.append(output)


TestPortsComeBack = PortsComeBack.TestCase
TestPortsComeBack.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
