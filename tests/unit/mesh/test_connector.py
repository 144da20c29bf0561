"""When attempts begin and what they are told, against a real handshaker; whole handshakes are in tests/sim."""

from __future__ import annotations

import pytest
from tests.sim.world import WALL_START
from tests.unit.mesh.connecting import (
    BOB,
    ELSEWHERE,
    ME,
    OFFLINE,
    ONLINE,
    OWN,
    RECORD,
    STRANGER,
    WHERE,
    Node,
    addresses,
    call_with,
    connect_with,
    host,
)
from tests.unit.mesh.records import record_of

from shadowmesh.backbone_protocol.updates import CallFailed, Refused, Update
from shadowmesh.mesh.calls import REPEAT_S
from shadowmesh.mesh.connector import (
    FRESH_SESSION_S,
    ONLINE_JITTER_S,
    PACKET_RETRY_S,
    START_PEERS,
    ConnectorDrop,
)
from shadowmesh.mesh.connector_events import AttemptFailed, CandidatesLearnt, RecordNeeded
from shadowmesh.mesh.known_peers import KnownPeers
from shadowmesh.mesh.outputs import SendUpdate
from shadowmesh.mesh.peers import RECENTLY_WANTED_S
from shadowmesh.mesh.state import PeerState, TrustedPeer
from shadowmesh.mesh.trust import TrustList
from shadowmesh.records.hints import Hints
from shadowmesh.records.peer_record import Mode
from shadowmesh.wire.endpoint import Endpoint


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


@pytest.mark.parametrize(("after_s", "in_doubt"), [(FRESH_SESSION_S - 0.1, False), (FRESH_SESSION_S, True)])
def test_a_call_of_a_connected_peer_casts_doubt_on_the_path_unless_it_crossed_the_handshake(
    after_s: float, in_doubt: bool
) -> None:
    node = Node(RECORD, link=ONLINE)
    node.connector.connected(BOB.peer_id, -after_s)
    node.receive_call(BOB.peer_id, WHERE)
    assert CandidatesLearnt(BOB.peer_id, path_in_doubt=in_doubt) in node.others()


def test_an_answer_of_a_connected_peer_casts_none_we_have_called_ourselves() -> None:
    node = Node(RECORD, link=ONLINE)
    node.connector.connected(BOB.peer_id, -100.0)
    node.connector.call(BOB.peer_id, 0.0)
    node.answer(node.call())
    assert CandidatesLearnt(BOB.peer_id, path_in_doubt=False) in node.others()


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
