"""The connect flow against a real handshaker; whole handshakes are in tests/sim."""

from __future__ import annotations

from typing import TypeVar

import pytest
from tests.sim.chance import SeededEntropy
from tests.sim.world import WALL_START, identity_number
from tests.unit.mesh.records import record_of

from shadowmesh.backbone_protocol.updates import Call, CallFailed, Refused, Update
from shadowmesh.identity.names import PeerID
from shadowmesh.mesh.calls import REPEAT_S, OwnAddresses
from shadowmesh.mesh.connector import (
    LOOK_UP_AFTER_S,
    ONLINE_JITTER_S,
    PACKET_RETRY_S,
    PATIENCE_S,
    QUIET_S,
    START_PEERS,
    Connector,
    ConnectorDrop,
    ConnectorOutput,
)
from shadowmesh.mesh.connector_events import AttemptFailed, LinkView, RecordNeeded
from shadowmesh.mesh.known_peers import KnownPeers
from shadowmesh.mesh.outputs import SendUpdate
from shadowmesh.mesh.peers import RECENTLY_WANTED_S
from shadowmesh.mesh.state import PeerState, TrustedPeer
from shadowmesh.mesh.trust import TrustList
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.events import PunchEnded
from shadowmesh.paths.nat_behaviour import UNKNOWN_NAT
from shadowmesh.paths.punch import GIVE_UP_AFTER_S
from shadowmesh.paths.punch_plan import Role
from shadowmesh.records.hints import Hints
from shadowmesh.records.peer_record import REVOKED_SEQUENCE, Mode, SignedRecord
from shadowmesh.session.handshaker import Handshaker
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.transmit import Transmit

ME, BOB, STRANGER = identity_number(5000), identity_number(1), identity_number(2)
RECORD = record_of(1)
WHERE, ELSEWHERE = Endpoint.of("198.18.0.3", 41641), Endpoint.of("198.18.0.4", 41641)
OWN = Endpoint.of("198.18.0.1", 41641)
ONLINE = LinkView(online=True, updates_open=True, reason="")
OFFLINE = LinkView(reason="no network")
PENDING = LinkView(pending=True)


def test_a_known_endpoint_is_tried_at_once_without_asking_anybody() -> None:
    node = Node(RECORD, at=WHERE)
    node.want()
    assert node.state() is PeerState.CONNECTING
    assert {transmit.destination for transmit in node.transmits()} == {WHERE}
    assert node.others() == []


def test_online_the_peer_is_called_in_parallel() -> None:
    node = Node(RECORD, at=WHERE, link=ONLINE)
    node.want()
    call = node.call()
    assert (call.peer, call.answer, call.candidates) == (BOB.peer_id.raw, False, [host(OWN)])
    assert node.transmits()


def test_two_seconds_without_a_session_the_backbone_is_asked_whether_it_knows_more() -> None:
    node = Node(RECORD, at=WHERE, link=ONLINE)
    node.want()
    node.drain()
    node.run(LOOK_UP_AFTER_S - 0.1)
    assert RecordNeeded(BOB.peer_id) not in node.others()
    node.run(LOOK_UP_AFTER_S)
    assert RecordNeeded(BOB.peer_id) in node.others()


def test_without_a_record_it_is_looked_up_first() -> None:
    node = Node(link=ONLINE)
    node.want()
    assert node.others() == [RecordNeeded(BOB.peer_id)]
    assert node.state() is PeerState.LOOKING_UP
    node.known.keep(BOB.peer_id, RECORD)
    node.connector.looked_up(BOB.peer_id, hints=Hints(True, 0), failure="", now=0.1)
    assert node.state() is PeerState.CONNECTING
    assert node.call().peer == BOB.peer_id.raw


def test_a_peer_that_nobody_knows_is_a_failure_with_its_reason() -> None:
    node = Node(link=ONLINE)
    node.want()
    node.drain()
    node.connector.looked_up(BOB.peer_id, hints=None, failure="nobody has registered", now=0.1)
    node.run(PATIENCE_S - 0.1)
    assert node.others() == []
    node.run(PATIENCE_S)
    assert node.others() == [AttemptFailed(BOB.peer_id, "bob is not found: nobody has registered", asked=True)]
    assert node.state() is PeerState.UNREACHABLE


def test_a_peer_that_registers_while_somebody_waits_is_looked_up_again() -> None:
    node = Node(link=ONLINE)
    node.want()
    node.connector.looked_up(BOB.peer_id, hints=None, failure="nobody has registered", now=0.1)
    node.drain()
    node.receive_hints(Hints(True, 0))
    assert node.others() == [RecordNeeded(BOB.peer_id)]


def test_offline_and_without_a_record_there_is_nothing_to_try() -> None:
    node = Node(link=OFFLINE)
    node.want()
    (failed,) = node.others()
    assert isinstance(failed, AttemptFailed)
    assert failed.reason == "no record of bob is held, and the backbone is not reached (no network)"


def test_a_log_in_that_is_under_way_is_waited_for() -> None:
    node = Node(link=PENDING)
    node.want()
    assert node.others() == []
    node.connector.link_changed(ONLINE, 0.5)
    assert node.others() == [RecordNeeded(BOB.peer_id)]


def test_a_log_in_that_fails_ends_the_wait() -> None:
    node = Node(link=PENDING)
    node.want()
    node.connector.link_changed(OFFLINE, 0.5)
    assert isinstance(node.others()[0], AttemptFailed)


def test_when_the_call_fails_and_nothing_more_is_known_the_last_address_gets_ten_seconds() -> None:
    node = Node(RECORD, at=WHERE, link=ONLINE)
    node.want()
    call = node.call()
    node.connector.update_received(CallFailed(peer=call.peer, token=call.token, reason=""), 0.1)
    node.connector.looked_up(BOB.peer_id, hints=Hints(False, 0), failure="", now=0.2)
    node.run(QUIET_S + 0.1)
    assert node.state() is PeerState.CONNECTING
    node.run(QUIET_S + 0.3)
    (failed,) = [output for output in node.others() if isinstance(output, AttemptFailed)]
    assert failed.reason == f"bob is not online at the backbone and does not answer at {WHERE}"


def test_when_no_path_was_found_the_attempt_ends_with_the_reason() -> None:
    node = Node(RECORD, at=WHERE, link=ONLINE)
    node.want()
    node.answer(node.call())
    node.punch_ended(Role.NONE)
    assert node.state() is PeerState.UNREACHABLE
    (failed,) = node.failures()
    assert failed.asked
    assert failed.reason.startswith("relay needed: ")


@pytest.mark.parametrize("role", [Role.SPRAY, Role.HOLD_PORTS])
def test_ports_that_were_guessed_in_vain_are_guessed_once_more(role: Role) -> None:
    node = Node(RECORD, at=WHERE, link=ONLINE)
    node.want()
    node.answer(node.call())
    node.punch_ended(role)
    assert node.state() is PeerState.CONNECTING
    node.answer(node.call())
    node.punch_ended(role)
    assert node.state() is PeerState.UNREACHABLE
    assert [failed.asked for failed in node.failures()] == [True]


def test_a_path_that_was_found_leaves_the_attempt_to_the_handshake() -> None:
    node = Node(RECORD, at=WHERE, link=ONLINE)
    node.want()
    node.answer(node.call())
    node.punch_ended(Role.PLAIN, found=True)
    assert node.state() is PeerState.CONNECTING


def test_a_failed_attempt_is_repeated_with_growing_pauses_while_the_peer_is_wanted() -> None:
    node = Node(link=OFFLINE)
    node.want()
    node.run(RECENTLY_WANTED_S + 100)
    attempts = [output for output in node.others() if isinstance(output, AttemptFailed)]
    assert 8 <= len(attempts) <= 16
    assert [attempt.asked for attempt in attempts] == [True, *[False] * (len(attempts) - 1)]
    assert node.state() is PeerState.IDLE
    assert node.connector.next_timeout() is None


def test_packets_do_not_make_an_unreachable_peer_be_tried_more_often() -> None:
    node = Node(link=OFFLINE)
    for tick in range(40):
        node.connector.want_for_packet(BOB.peer_id, tick * 0.1)
    assert len([output for output in node.others() if isinstance(output, AttemptFailed)]) == 1
    node.connector.want_for_packet(BOB.peer_id, PACKET_RETRY_S)
    assert len([output for output in node.others() if isinstance(output, AttemptFailed)]) == 1


def test_a_call_of_a_trusted_peer_is_answered_and_its_endpoints_tried() -> None:
    node = Node(RECORD, link=ONLINE)
    node.receive_call(BOB.peer_id, WHERE)
    answer = node.call()
    assert (answer.peer, answer.answer, answer.token) == (BOB.peer_id.raw, True, b"t" * 16)
    assert {transmit.destination for transmit in node.transmits()} == {WHERE}


def test_a_call_of_a_stranger_is_not_answered_at_all() -> None:
    node = Node(RECORD, link=ONLINE)
    node.receive_call(STRANGER.peer_id, WHERE)
    assert node.drain() == []
    assert node.connector.drops == {ConnectorDrop.CALL_UNTRUSTED.value: 1}


def test_an_answer_brings_endpoints_to_the_attempt() -> None:
    node = Node(RECORD, link=ONLINE)
    node.want()
    call = node.call()
    assert node.transmits() == []
    answer = call_with(call.peer, call.token, host(WHERE), host(ELSEWHERE), answer=True)
    node.connector.update_received(answer, 0.1)
    assert {transmit.destination for transmit in node.transmits()} == {WHERE, ELSEWHERE}


def test_a_call_is_repeated_until_its_answer_comes() -> None:
    node = Node(RECORD, link=ONLINE)
    node.want()
    call = node.call()
    node.run(REPEAT_S)
    assert node.call() == call
    node.connector.update_received(call_with(call.peer, call.token, host(WHERE), answer=True), REPEAT_S + 0.1)
    node.drain()
    node.run(3 * REPEAT_S)
    assert not [output for output in node.drain() if isinstance(output, SendUpdate)]


def test_a_call_to_a_peer_that_is_away_is_not_repeated() -> None:
    node = Node(RECORD, link=ONLINE)
    node.want()
    call = node.call()
    node.connector.update_received(CallFailed(peer=call.peer, token=call.token, reason="not connected"), 0.1)
    node.run(REPEAT_S)
    assert not [output for output in node.drain() if isinstance(output, SendUpdate)]


def test_an_answer_with_another_token_is_ignored() -> None:
    node = Node(RECORD, link=ONLINE)
    node.want()
    call = node.call()
    node.connector.update_received(call_with(call.peer, bytes(16), host(WHERE), answer=True), 0.1)
    assert node.transmits() == []


def test_an_endpoint_that_leads_nowhere_is_not_tried() -> None:
    node = Node(RECORD, link=ONLINE)
    node.receive_call(BOB.peer_id, Endpoint.of("224.0.0.1", 1), Endpoint.of("127.0.0.1", 1), OWN)
    assert node.transmits() == []


def test_a_trusted_peer_that_comes_online_is_connected_to_after_a_moment() -> None:
    node = Node(RECORD, at=WHERE, link=ONLINE)
    node.receive_hints(Hints(True, 0))
    due_at = node.connector.next_timeout()
    assert due_at is not None
    assert due_at <= ONLINE_JITTER_S
    node.run(ONLINE_JITTER_S)
    assert node.state() is PeerState.CONNECTING


def test_a_trusted_peer_that_is_offline_is_left_alone() -> None:
    node = Node(RECORD, at=WHERE, link=ONLINE)
    node.receive_hints(Hints(False, 0))
    assert node.connector.next_timeout() is None


def test_hints_of_a_public_peer_are_tried() -> None:
    node = Node(record_of(1, mode=Mode.PUBLIC), link=ONLINE)
    node.receive_hints(Hints(True, 0, (ELSEWHERE,)))
    node.run(ONLINE_JITTER_S)
    assert {transmit.destination for transmit in node.transmits()} == {ELSEWHERE}


def test_while_connected_a_newer_record_is_asked_for_and_the_held_one_is_not() -> None:
    node = Node(RECORD, link=ONLINE)
    node.connector.connected(BOB.peer_id, 0.0)
    for record_id, asked in ((RECORD.record_id, False), (bytes(32), True)):
        hints = Hints(online=True, last_seen_at=0).encode()
        node.connector.update_received(Update(peer=BOB.peer_id.raw, record_id=record_id, hints=hints), 0.0)
        assert (RecordNeeded(BOB.peer_id) in node.others()) is asked
    assert node.state() is PeerState.CONNECTED


def test_malformed_and_unexpected_updates_are_counted() -> None:
    node = Node(RECORD, link=ONLINE)
    node.connector.update_received(Update(peer=BOB.peer_id.raw, record_id=bytes(32), hints=b"?"), 0.0)
    node.connector.update_received(Update(peer=STRANGER.peer_id.raw, record_id=bytes(32), hints=b""), 0.0)
    zero_port = call_with(BOB.peer_id.raw, bytes(16), b"\1" + bytes(18), answer=False)
    node.connector.update_received(zero_port, 0.0)
    node.connector.update_received(Refused(problem="rate-limited", detail=""), 0.0)
    assert node.connector.drops == {
        ConnectorDrop.MALFORMED.value: 2,
        ConnectorDrop.UPDATE_UNTRUSTED.value: 1,
        ConnectorDrop.REFUSED.value: 1,
    }


@pytest.mark.parametrize(
    ("record", "reason"),
    [(record_of(1, sequence=REVOKED_SEQUENCE), "revoked"), (record_of(1, min_suite=2), "newer handshake")],
)
def test_a_peer_that_has_revoked_its_identity_or_demands_another_suite_is_not_connected_to(
    record: SignedRecord, reason: str
) -> None:
    node = Node(record, at=WHERE, link=ONLINE)
    node.want()
    (failed,) = [output for output in node.others() if isinstance(output, AttemptFailed)]
    assert reason in failed.reason
    assert node.transmits() == []


def test_our_new_address_is_told_to_the_peer_that_is_being_called() -> None:
    node = Node(RECORD, link=ONLINE)
    node.want()
    node.drain()
    node.connector.own_addresses_changed(addresses(ELSEWHERE), 2.0)
    assert node.call().candidates == [host(ELSEWHERE)]


def test_an_address_that_is_learnt_within_a_second_of_the_call_is_told_when_the_second_is_over() -> None:
    node = Node(RECORD, link=ONLINE)
    node.want()
    node.drain()
    node.connector.own_addresses_changed(addresses(ELSEWHERE), 0.4)
    assert node.drain() == []
    node.run(0.9)
    assert not [output for output in node.drain() if isinstance(output, SendUpdate)]
    node.run(1.0)
    assert node.call().candidates == [host(ELSEWHERE)]
    node.run(1.9)
    assert not [output for output in node.drain() if isinstance(output, SendUpdate)]


def test_a_start_tries_the_first_known_peers_one_after_another() -> None:
    records = [record_of(number) for number in range(1, START_PEERS + 5)]
    trust = TrustList(ME.fingerprint, [TrustedPeer(record.record.public.fingerprint) for record in records])
    known = KnownPeers(trust, (), records, wall_clock=lambda: WALL_START)
    for record in records:
        known.reached(record.peer_id, WHERE)
    connector = connect_with(known, trust)
    connector.start(0.0)
    assert sum(peer.attempt is not None for peer in connector.all()) == 1
    while (at := connector.next_timeout()) is not None and at < 1.0:
        connector.handle_timeout(at)
    assert sum(peer.attempt is not None for peer in connector.all()) == START_PEERS


def test_a_removed_peer_fails_what_waited_for_it_and_is_not_answered() -> None:
    node = Node(RECORD, at=WHERE, link=ONLINE)
    node.want()
    node.drain()
    node.connector.remove(TrustedPeer(BOB.fingerprint, "bob"), 1.0)
    assert node.others() == [AttemptFailed(BOB.peer_id, "bob is no longer trusted", asked=True)]
    assert node.connector.next_timeout() is None
    with pytest.raises(KeyError):
        node.want()


def test_a_lost_session_is_built_again_after_a_second() -> None:
    node = Node(RECORD, at=WHERE)
    assert node.connector.connected(BOB.peer_id, 0.0)
    assert not node.connector.connected(BOB.peer_id, 10.0)
    node.connector.disconnected(BOB.peer_id, "no answer", 100.0)
    assert node.state() is PeerState.UNREACHABLE
    due_at = node.connector.next_timeout()
    assert due_at is not None
    assert 101.0 <= due_at <= 101.25
    node.run(due_at)
    assert node.state() is PeerState.CONNECTING


def test_a_session_that_is_refused_leaves_the_peer_unreachable() -> None:
    node = Node(RECORD, at=WHERE)
    node.connector.refused(BOB.peer_id, "its key is taken", 0.0)
    peer = node.connector.get(BOB.peer_id)
    assert peer is not None
    assert (peer.state, peer.reason) == (PeerState.UNREACHABLE, "its key is taken")


T = TypeVar("T")


class Node:
    """A connector that trusts bob, at 0.0."""

    def __init__(
        self, record: SignedRecord | None = None, *, at: Endpoint | None = None, link: LinkView = OFFLINE
    ) -> None:
        trust = TrustList(ME.fingerprint, [TrustedPeer(BOB.fingerprint, "bob")])
        self.known = KnownPeers(trust, (), [] if record is None else [record], wall_clock=lambda: WALL_START)
        if at is not None:
            self.known.reached(BOB.peer_id, at)
        self.connector = connect_with(self.known, trust)
        self.connector.own_addresses_changed(addresses(OWN), 0.0)
        self.connector.link_changed(link, 0.0)
        self._drained: list[ConnectorOutput] = []

    def state(self) -> PeerState:
        peer = self.connector.get(BOB.peer_id)
        assert peer is not None
        return peer.state

    def want(self) -> None:
        self.connector.want(BOB.peer_id, 0.0)

    def receive_call(self, peer: PeerID, *endpoints: Endpoint) -> None:
        self.connector.update_received(call_with(peer.raw, b"t" * 16, *map(host, endpoints), answer=False), 0.0)

    def answer(self, call: Call) -> None:
        self.connector.update_received(call_with(BOB.peer_id.raw, call.token, host(WHERE), answer=True), 0.0)

    def punch_ended(self, role: Role, *, found: bool = False) -> None:
        self.connector.punch_ended(PunchEnded(BOB.peer_id, found, role, 8), GIVE_UP_AFTER_S)

    def failures(self) -> list[AttemptFailed]:
        return self._take(AttemptFailed)

    def receive_hints(self, hints: Hints) -> None:
        self.connector.update_received(Update(peer=BOB.peer_id.raw, record_id=bytes(32), hints=hints.encode()), 0.0)

    def run(self, until: float) -> None:
        while (at := self.connector.next_timeout()) is not None and at <= until:
            self.connector.handle_timeout(at)
            after = self.connector.next_timeout()
            assert after is None or after > at

    def drain(self) -> list[ConnectorOutput]:
        while (output := self.connector.poll()) is not None:
            self._drained.append(output)
        drained, self._drained = self._drained, []
        return drained

    def transmits(self) -> list[Transmit]:
        return self._take(Transmit)

    def call(self) -> Call:
        (update,) = self._take(SendUpdate)
        assert isinstance(update.message, Call)
        return update.message

    def others(self) -> list[ConnectorOutput]:
        drained = self.drain()
        self._drained = [output for output in drained if isinstance(output, Transmit)]
        return [output for output in drained if not isinstance(output, Transmit)]

    def _take(self, kind: type[T]) -> list[T]:
        drained = self.drain()
        self._drained = [output for output in drained if not isinstance(output, kind)]
        return [output for output in drained if isinstance(output, kind)]


def host(endpoint: Endpoint) -> bytes:
    return Candidate(CandidateKind.HOST, endpoint).encode()


def addresses(endpoint: Endpoint) -> OwnAddresses:
    return OwnAddresses((Candidate(CandidateKind.HOST, endpoint),))


def call_with(peer: bytes, token: bytes, *candidates: bytes, answer: bool) -> Call:
    return Call(peer, token, answer, list(candidates), UNKNOWN_NAT.encode())


def connect_with(known: KnownPeers, trust: TrustList) -> Connector:
    entropy = SeededEntropy(1)
    handshaker = Handshaker(ME, record_of(5000), entropy=entropy, wall_clock=lambda: WALL_START, now=0.0)
    connector = Connector(known, handshaker, entropy=entropy, now=0.0)
    for peer in trust.all():
        connector.add(peer)
    return connector
