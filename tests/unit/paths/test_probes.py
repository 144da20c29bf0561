"""Two probers that talk to each other over a list of datagrams in flight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sim.chance import SeededEntropy

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.events import PathLost, PathMoved, PathNarrow, PathSilent, PingDone, ProbeEvent
from shadowmesh.paths.keepalive import SILENCES_S, SPREAD_S
from shadowmesh.paths.path_width import REMIND_S
from shadowmesh.paths.probe_datagram import FULL_SIZE_BYTES, PROBE_BYTES, ProbeDatagram
from shadowmesh.paths.probed_session import LOST_AFTER_S, PING_TIMEOUT_S, PROBE_OFFSETS_S
from shadowmesh.paths.probes import MAX_PINGS, PathProber, ProbeDrop
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

A, B = PeerID(b"a" * 20), PeerID(b"b" * 20)
AT_B_OVER_IPV6 = Endpoint.of("2001:db8::2", 41641)
AT_A, AT_B = Endpoint.of("198.18.0.1", 41641), Endpoint.of("198.18.0.2", 41641)
ELSEWHERE = Endpoint.of("203.0.113.9", 41641)
KEY = bytes(range(32))


def test_an_answer_gives_the_round_trip_time() -> None:
    prober = Probing()
    prober.answer_after(0.04)
    status = prober.a.status(B)
    assert status is not None
    assert status.path == AT_B
    assert status.rtt_s == pytest.approx(0.04)
    assert status.probed_at == pytest.approx(0.04)


def test_a_reply_is_as_long_as_the_probe() -> None:
    prober = Probing()
    (probe,) = prober.sent()
    prober.b.receive_datagram(probe.payload, AT_A, 0.0)
    reply = prober.b.poll()
    assert isinstance(reply, Transmit)
    assert len(reply.payload) == len(probe.payload) == PROBE_BYTES
    assert reply.destination == AT_A


def test_on_ipv6_a_path_that_loses_full_size_probes_is_found_to_be_narrow_and_is_recalled() -> None:
    prober = narrow_path()
    assert prober.events == [PathNarrow(B)]
    assert prober.narrow
    for _ in range(round(REMIND_S)):
        prober.answer_after(0.0)  # fragments pass, so this shows nothing
        prober.run_until(prober.now + 1.0)
    assert prober.events == [PathNarrow(B)] * 2
    assert prober.narrow


def test_a_reply_to_a_full_size_probe_is_of_the_usual_length() -> None:
    prober = Probing(at_b=AT_B_OVER_IPV6)
    (full_size,) = (probe for probe in prober.sent() if len(probe.payload) == FULL_SIZE_BYTES)
    prober.b.receive_datagram(full_size.payload, AT_A, 0.0)
    assert [len(reply.payload) for reply in prober.from_b()] == [PROBE_BYTES]


def test_on_ipv4_whose_routers_fragment_no_full_size_probe_is_sent() -> None:
    prober = Probing()
    prober.answer_after(0.02)
    prober.run_until(20.0)
    assert all(len(probe.payload) == PROBE_BYTES for probe in prober.sent())


def test_a_path_that_loses_one_datagram_in_ten_is_wide() -> None:
    for seed in range(20):
        prober, chance = Probing(at_b=AT_B_OVER_IPV6), SeededEntropy(seed)
        for _ in range(300):
            prober.lose_and_deliver(chance, 0.1)
            prober.run_until(prober.now + 0.3)
        assert not prober.narrow


def test_a_session_that_is_renewed_on_a_narrow_path_knows_that_it_is() -> None:
    prober = narrow_path()
    prober.a.start(B, bytes(32), AT_B, prober.now)
    assert not prober.narrow
    prober.a.start(B, bytes(32), AT_B_OVER_IPV6, prober.now)
    assert prober.narrow


def test_where_the_peer_only_compares_paths_nothing_moves() -> None:
    prober = Probing()
    prober.answer_after(0.02)
    prober.b.set_alternates(A, [ELSEWHERE], 1.0)
    prober.b.handle_timeout(1.5)
    to_elsewhere = [probe for probe in prober.from_b() if probe.destination == ELSEWHERE]
    assert to_elsewhere
    for probe in to_elsewhere:
        prober.a.receive_datagram(probe.payload, ELSEWHERE, 1.0)
    (reply,) = (output for output in prober.sent() if output.destination == ELSEWHERE)
    assert ProbeDatagram.decode(reply.payload).is_reply
    assert prober.events == []


def test_after_an_answer_the_next_probe_is_a_keepalive_away() -> None:
    prober = Probing()
    prober.answer_after(0.0)
    prober.run_until(SILENCES_S[0] - SPREAD_S - 0.1)
    assert prober.sent() == []
    prober.run_until(SILENCES_S[0] + SPREAD_S + 0.1)
    assert len(prober.sent()) >= 1


def test_a_peer_that_never_answers_is_silent_and_then_lost() -> None:
    prober = Probing()
    prober.run_until(LOST_AFTER_S - 0.01)
    assert len(prober.sent()) == len(PROBE_OFFSETS_S)
    assert prober.events == [PathSilent(B)]
    prober.run_until(LOST_AFTER_S + 0.01)
    assert prober.events == [PathSilent(B), PathLost(B, AT_B)]
    assert prober.a.next_timeout() is None
    assert prober.a.status(B) is None


def test_one_answer_in_a_round_is_enough() -> None:
    prober = Probing()
    prober.run_until(PROBE_OFFSETS_S[-1] + 0.05)
    *_, last = prober.sent()
    prober.deliver_to_b(last)
    prober.run_until(LOST_AFTER_S + 1)
    assert prober.events == [PathSilent(B)]


def test_a_probe_of_the_peer_shows_that_it_lives() -> None:
    prober = Probing()
    prober.run_until(2.5)
    prober.b.start(A, KEY, AT_A, 2.5)
    prober.deliver_from_b()
    prober.run_until(LOST_AFTER_S + 1)
    assert prober.events == [PathSilent(B)]


def test_something_else_that_proves_life_ends_the_round() -> None:
    prober = Probing()
    prober.run_until(2.5)
    prober.a.heard(B, 2.5)
    prober.run_until(LOST_AFTER_S + 1)
    assert prober.events == [PathSilent(B)]


def test_a_round_that_was_slept_through_goes_on_instead_of_losing_the_peer() -> None:
    prober = Probing()
    prober.now = 500.0
    prober.a.handle_timeout(500.0)
    prober.collect()
    assert prober.events == []
    due_at = prober.a.next_timeout()
    assert due_at is not None
    assert due_at > 500.0


def test_a_ping_is_answered_with_its_own_time() -> None:
    prober = Probing()
    prober.answer_after(0.0)
    prober.a.ping(B, 7, 1.0)
    prober.now = 1.0
    prober.answer_after(0.025)
    (done,) = prober.events
    assert isinstance(done, PingDone)
    assert (done.sequence, done.path) == (7, AT_B)
    assert done.rtt_s == pytest.approx(0.025)


def test_a_lost_ping_is_reported() -> None:
    prober = Probing()
    prober.answer_after(0.0)
    prober.a.ping(B, 7, 1.0)
    prober.run_until(1.0 + PING_TIMEOUT_S)
    assert prober.events == [PingDone(B, 7, AT_B, None)]


def test_too_many_pings_at_once_are_refused() -> None:
    prober = Probing()
    for sequence in range(MAX_PINGS + 1):
        prober.a.ping(B, sequence, 0.0)
    prober.collect()
    assert prober.events == [PingDone(B, MAX_PINGS, AT_B, None)]


def test_who_has_no_session_can_not_be_pinged() -> None:
    with pytest.raises(KeyError):
        PathProber(A, entropy=SeededEntropy(1), ids=OpenIds()).ping(B, 1, 0.0)


def test_a_silent_path_makes_the_alternates_be_tried_and_the_first_that_answers_is_taken() -> None:
    prober = Probing()
    prober.a.set_alternates(B, [ELSEWHERE], 0.0)
    prober.run_until(1.0)
    probes = [probe for probe in prober.sent() if probe.destination == ELSEWHERE]
    assert probes
    prober.b.receive_datagram(probes[0].payload, AT_A, 1.0)
    reply = prober.b.poll()
    assert isinstance(reply, Transmit)
    prober.a.receive_datagram(reply.payload, ELSEWHERE, 1.02)
    prober.collect()
    assert prober.events == [PathSilent(B), PathMoved(B, ELSEWHERE)]


def test_a_reason_to_ask_makes_a_path_silent_after_one_probe() -> None:
    prober = Probing()
    prober.answer_after(0.0)
    prober.a.probe(B, 5.0)
    prober.run_until(5.45)
    assert prober.events == []
    prober.run_until(5.55)
    assert prober.events == [PathSilent(B)]


def test_a_path_that_was_punched_is_taken_while_the_present_one_is_silent() -> None:
    prober = Probing()
    prober.run_until(1.05)
    prober.sent()
    prober.a.path_found(B, ELSEWHERE, prober.now)
    (probe,) = prober.sent()
    assert probe.destination == ELSEWHERE
    prober.b.receive_datagram(probe.payload, AT_A, prober.now)
    (reply,) = prober.from_b()
    prober.a.receive_datagram(reply.payload, ELSEWHERE, prober.now)
    prober.collect()
    assert prober.events == [PathSilent(B), PathMoved(B, ELSEWHERE)]


def test_a_path_that_was_punched_beside_a_good_one_is_only_compared_with_it() -> None:
    prober = Probing()
    prober.answer_after(0.0)
    prober.a.path_found(B, ELSEWHERE, 0.1)
    assert prober.sent() == []
    prober.run_until(0.5)
    assert [probe.destination for probe in prober.sent()] == [AT_B, ELSEWHERE]


def test_a_peer_that_probes_from_elsewhere_moves_the_path_only_when_it_answers_there() -> None:
    prober = Probing()
    prober.answer_after(0.0)
    prober.b.start(A, KEY, AT_A, 1.0)
    (probe,) = prober.from_b()
    prober.a.receive_datagram(probe.payload, ELSEWHERE, 1.02)
    prober.collect()
    assert prober.events == []
    answers = prober.sent()
    assert [answer.destination for answer in answers] == [ELSEWHERE, ELSEWHERE]  # the reply, and a probe of our own
    prober.b.receive_datagram(answers[1].payload, AT_A, 1.04)
    (reply,) = prober.from_b()
    prober.a.receive_datagram(reply.payload, ELSEWHERE, 1.06)
    prober.collect()
    assert prober.events == [PathMoved(B, ELSEWHERE)]


def test_a_lost_validation_is_repeated_with_the_next_probe_of_the_peer() -> None:
    prober = Probing()
    prober.answer_after(0.0)
    prober.b.start(A, KEY, AT_A, 1.0)
    for now in (1.0, 30.0):
        prober.b.probe_all(now)
        for probe in prober.from_b()[-1:]:
            prober.a.receive_datagram(probe.payload, ELSEWHERE, now)
        assert [sent.destination for sent in prober.sent()] == [ELSEWHERE, ELSEWHERE]


def test_what_goes_to_the_path_leaves_from_its_port() -> None:
    prober = Probing(via=7)
    prober.a.ping(B, 1, 0.1)
    prober.a.set_alternates(B, [ELSEWHERE], 0.1)
    prober.run_until(0.45)
    assert {(sent.destination, sent.via) for sent in prober.sent()} == {(AT_B, 7), (ELSEWHERE, None)}


def test_a_peer_whose_probes_come_to_another_port_moves_the_path_there_when_it_answers_through_it() -> None:
    """Our NAT has forgotten the mapping, and shows the peer, which is where it was, that of another port."""
    prober = Probing()
    prober.answer_after(0.0)
    prober.b.start(A, KEY, AT_A, 1.0)
    (probe,) = prober.from_b()
    prober.a.receive_datagram(probe.payload, AT_B, 1.02, via=7)
    answers = prober.sent()
    assert [(answer.destination, answer.via) for answer in answers] == [(AT_B, 7), (AT_B, 7)]
    assert prober.events == []
    prober.b.receive_datagram(answers[1].payload, AT_A, 1.04)
    (reply,) = prober.from_b()
    prober.a.receive_datagram(reply.payload, AT_B, 1.06, via=7)
    prober.collect()
    assert prober.events == [PathMoved(B, AT_B, 7)]


def test_an_answer_to_another_port_than_was_asked_from_moves_nothing() -> None:
    """It shows that datagrams come in there, not that ours arrive from there."""
    prober = Probing()
    prober.run_until(1.05)
    (*_, probe) = prober.sent()
    prober.b.receive_datagram(probe.payload, AT_A, 1.05)
    (reply,) = prober.from_b()
    prober.a.receive_datagram(reply.payload, AT_B, 1.07, via=7)
    prober.collect()
    assert prober.events == [PathSilent(B)]


def test_another_port_from_which_a_punch_has_reached_the_peer_is_compared_and_taken_when_the_path_is_silent() -> None:
    prober = Probing()
    prober.answer_after(0.0)
    prober.a.path_found(B, AT_B, 5.0, via=7)
    (probe,) = prober.sent()
    assert (probe.destination, probe.via) == (AT_B, 7)
    assert ProbeDatagram.decode(probe.payload).compares
    prober.b.receive_datagram(probe.payload, AT_A, 5.0)
    prober.a.receive_datagram(prober.from_b()[0].payload, AT_B, 5.02, via=7)
    prober.collect()
    assert prober.events == []
    prober.a.probe(B, 6.0)
    prober.sent()
    prober.run_until(6.6)
    again, other = prober.sent()
    assert (again.via, other.via) == (0, 7)
    prober.b.receive_datagram(other.payload, AT_A, 6.6)
    prober.a.receive_datagram(prober.from_b()[0].payload, AT_B, 6.62, via=7)
    prober.collect()
    assert prober.events == [PathSilent(B), PathMoved(B, AT_B, 7)]


def test_a_faster_path_is_taken_with_the_port_that_leads_there() -> None:
    prober = Probing()
    prober.a.set_alternates(B, [ELSEWHERE], 0.0)
    now = 0.0
    while PathMoved(B, ELSEWHERE, 7) not in prober.events and now < 20:
        now += 0.05
        prober.run_until(now)
        for probe in prober.sent():
            prober.b.receive_datagram(probe.payload, AT_A, now)
            (reply,) = prober.from_b()
            if probe.destination == AT_B:
                prober.a.receive_datagram(reply.payload, AT_B, now + 0.04)
            else:
                prober.a.receive_datagram(reply.payload, ELSEWHERE, now + 0.001, via=7)
        prober.collect()
    assert prober.events == [PathMoved(B, ELSEWHERE, 7)]


def test_one_peer_is_probed_at_once_unless_it_is_being_asked_already() -> None:
    prober = Probing()
    prober.a.heard(B, 0.1)
    prober.sent()
    for _ in range(2):
        prober.a.probe(B, 1.0)
    prober.a.probe(PeerID(b"x" * 20), 1.0)
    assert len(prober.sent()) == 1


def test_a_replayed_probe_is_not_answered() -> None:
    prober = Probing()
    (probe,) = prober.sent()
    prober.b.receive_datagram(probe.payload, AT_A, 0.0)
    assert prober.b.poll() is not None
    prober.b.receive_datagram(probe.payload, ELSEWHERE, 0.1)
    assert prober.b.poll() is None
    assert prober.b.drops == {ProbeDrop.REPLAYED.value: 1}


def test_a_reflected_probe_is_dropped() -> None:
    prober = Probing()
    (probe,) = prober.sent()
    prober.a.receive_datagram(probe.payload, AT_B, 0.01)
    assert prober.a.drops == {ProbeDrop.BAD_MAC.value: 1}


def test_a_reply_that_comes_twice_counts_once() -> None:
    prober = Probing()
    (probe,) = prober.sent()
    prober.b.receive_datagram(probe.payload, AT_A, 0.0)
    (reply,) = prober.from_b()
    prober.a.receive_datagram(reply.payload, AT_B, 0.01)
    prober.a.receive_datagram(reply.payload, AT_B, 0.02)
    assert prober.a.drops == {ProbeDrop.UNASKED.value: 1}


def test_a_new_session_forgets_the_key_of_the_old_one() -> None:
    prober = Probing()
    (probe,) = prober.sent()
    prober.b.start(A, bytes(32), AT_A, 0.0)
    prober.from_b()
    prober.b.receive_datagram(probe.payload, AT_A, 0.0)
    assert prober.b.drops == {ProbeDrop.UNKNOWN_SESSION.value: 1}


def test_a_changed_network_is_probed_at_once() -> None:
    prober = Probing()
    prober.answer_after(0.0)
    prober.a.probe_all(3.0)
    assert len(prober.sent()) == 1


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(0, 60))
def test_an_idle_pair_lives_through_random_loss_of_up_to_a_third(seed: int, loss_percent: int) -> None:
    chance = SeededEntropy(seed)
    prober = Probing()
    prober.b.start(A, KEY, AT_A, 0.0)
    for _ in range(200):
        prober.collect()
        prober.lose_and_deliver(chance, loss_percent / 180)
        due = [at for at in (prober.a.next_timeout(), prober.b.next_timeout()) if at is not None]
        if not due:
            break
        assert min(due) > prober.now
        prober.now = min(due)
        prober.a.handle_timeout(prober.now)
        prober.b.handle_timeout(prober.now)
    if loss_percent == 0:
        assert prober.events == []


@given(st.lists(st.binary(max_size=100), max_size=20))
def test_random_datagrams_never_raise(datagrams: list[bytes]) -> None:
    prober = Probing()
    for data in datagrams:
        prober.a.receive_datagram(data, AT_B, 0.0)
    assert prober.a.drops.get(ProbeDrop.MALFORMED.value, 0) == len(datagrams)


def narrow_path() -> Probing:
    prober = Probing(at_b=AT_B_OVER_IPV6)
    for _ in range(40):
        prober.answer_after(0.0, lose=lambda probe: len(probe.payload) > PROBE_BYTES)
        prober.run_until(prober.now + 0.1)
    return prober


@dataclass
class Probing:
    """A has just started to probe B, and B has the session too but does not probe by itself yet."""

    now: float = 0.0
    a: PathProber = field(default_factory=lambda: PathProber(A, entropy=SeededEntropy("a"), ids=OpenIds()))
    b: PathProber = field(default_factory=lambda: PathProber(B, entropy=SeededEntropy("b"), ids=OpenIds()))
    events: list[ProbeEvent] = field(default_factory=list)
    in_flight: list[Transmit] = field(default_factory=list)
    at_b: Endpoint = AT_B
    via: int = 0

    def __post_init__(self) -> None:
        self.b.start(A, KEY, AT_A, 0.0, delay_s=1e6)
        self.a.start(B, KEY, self.at_b, 0.0, via=self.via)

    @property
    def narrow(self) -> bool:
        status = self.a.status(B)
        return status is not None and status.narrow

    def collect(self) -> None:
        while (output := self.a.poll()) is not None:
            if isinstance(output, Transmit):
                self.in_flight.append(output)
            else:
                self.events.append(output)

    def sent(self) -> list[Transmit]:
        self.collect()
        sent, self.in_flight = self.in_flight, []
        return sent

    def from_b(self) -> list[Transmit]:
        sent = []
        while (output := self.b.poll()) is not None:
            assert isinstance(output, Transmit)
            sent.append(output)
        return sent

    def run_until(self, end: float) -> None:
        while (at := self.a.next_timeout()) is not None and at <= end:
            assert at >= self.now
            self.now = at
            self.a.handle_timeout(at)
            self.collect()
        self.now = end

    def deliver_to_b(self, probe: Transmit) -> None:
        self.b.receive_datagram(probe.payload, AT_A, self.now)
        self.deliver_from_b()

    def deliver_from_b(self) -> None:
        for reply in self.from_b():
            self.a.receive_datagram(reply.payload, self.at_b, self.now)
        self.collect()

    def answer_after(self, delay_s: float, lose: Callable[[Transmit], bool] = lambda _: False) -> None:
        probes = self.sent()
        self.now += delay_s
        for probe in probes:
            if not lose(probe):
                self.deliver_to_b(probe)

    def lose_and_deliver(self, chance: SeededEntropy, loss: float) -> None:
        for probe in self.sent():
            if chance.fraction() >= loss:
                self.b.receive_datagram(probe.payload, AT_A, self.now)
        while (output := self.b.poll()) is not None:
            if not isinstance(output, Transmit):
                self.events.append(output)
            elif chance.fraction() >= loss:
                self.a.receive_datagram(output.payload, self.at_b, self.now)
        self.collect()
