"""The course of an attempt, against a real handshaker; whole handshakes are in tests/sim."""

from __future__ import annotations

import pytest
from tests.unit.mesh.connecting import BOB, ELSEWHERE, OFFLINE, ONLINE, OWN, PENDING, RECORD, WHERE, Node, host
from tests.unit.mesh.records import record_of

from shadowmesh.backbone_protocol.updates import CallFailed
from shadowmesh.mesh.attempts import LOOK_UP_AFTER_S, PATIENCE_S, QUIET_S
from shadowmesh.mesh.connector_events import AttemptFailed, PunchWanted, RecordNeeded
from shadowmesh.mesh.outputs import SendUpdate
from shadowmesh.mesh.state import PeerState
from shadowmesh.paths.candidates import CandidateKind
from shadowmesh.paths.events import PathFound
from shadowmesh.paths.punch_plan import Role
from shadowmesh.records.hints import Hints
from shadowmesh.records.peer_record import REVOKED_SEQUENCE, SignedRecord


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


def test_a_call_that_comes_while_the_record_is_looked_up_begins_the_punch() -> None:
    node = Node(link=ONLINE)
    node.want()
    node.receive_call(BOB.peer_id, WHERE)
    assert node.state() is PeerState.LOOKING_UP
    answer, wanted = node.others()[1:]
    assert isinstance(answer, SendUpdate)
    assert isinstance(wanted, PunchWanted)


@pytest.mark.parametrize("looked_up_first", [True, False])
def test_the_handshake_goes_where_a_path_was_found_also_if_the_record_comes_later(looked_up_first: bool) -> None:
    node = Node(link=ONLINE)
    node.want()
    node.receive_call(BOB.peer_id)
    found = PathFound(BOB.peer_id, ELSEWHERE, 0, 0.04, CandidateKind.PEER_REFLEXIVE)

    def look_up() -> None:
        node.known.keep(BOB.peer_id, RECORD)
        node.connector.looked_up(BOB.peer_id, hints=Hints(True, 0), failure="", now=0.2)

    def find() -> None:
        node.connector.path_found(found, 0.2)

    for step in (look_up, find) if looked_up_first else (find, look_up):
        step()
    assert {transmit.destination for transmit in node.transmits()} == {ELSEWHERE}


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
