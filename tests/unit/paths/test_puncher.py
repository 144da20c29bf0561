from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sim.chance import SeededEntropy
from tests.unit.paths.punching import (
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
    TOKEN_3,
    answer,
    call,
    calling,
    drained,
    keys_of_peer,
    probe_of_peer,
    reply_of_peer,
    transmits,
)

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.events import PathFound, PortsWanted, PunchEnded
from shadowmesh.paths.nat_behaviour import UNKNOWN_NAT
from shadowmesh.paths.probe_datagram import PROBE_BYTES, ProbeDatagram, ProbeKeys
from shadowmesh.paths.punch import (
    MAX_LEARNT,
    MAX_TARGETS,
    PLAIN_GIVE_UP_AFTER_S,
    PROBE_OFFSETS_S,
    SPRAY_AFTER_S,
)
from shadowmesh.paths.punch_plan import MAX_SOCKETS, Role
from shadowmesh.paths.puncher import (
    MAX_CANDIDATES,
    MAX_PUNCHES,
    PunchDrop,
    Puncher,
    punch_keys,
)
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit


def test_all_candidates_are_probed_at_once_when_a_call_comes() -> None:
    puncher = calling()
    assert [probe.destination for probe in transmits(puncher)] == [OUTSIDE, INSIDE]


def test_a_silent_candidate_is_probed_by_the_schedule_and_then_given_up() -> None:
    puncher = calling(candidates=CANDIDATES[:1])
    sent_at, ended = [], []
    now = 0.0
    while True:
        for output in drained(puncher):
            if isinstance(output, Transmit):
                sent_at.append(now)
            else:
                ended.append((now, output))
        if (due_at := puncher.next_timeout()) is None:
            break
        now = due_at
        puncher.handle_timeout(now)
    assert sent_at == list(PROBE_OFFSETS_S)
    assert ended == [(PLAIN_GIVE_UP_AFTER_S, PunchEnded(PEER, False, Role.PLAIN, len(PROBE_OFFSETS_S)))]
    assert not puncher.is_punching(PEER)


def test_called_early_nothing_happens() -> None:
    puncher = calling()
    drained(puncher)
    puncher.handle_timeout(0.04)
    assert puncher.poll() is None


def test_called_late_each_candidate_is_probed_once() -> None:
    puncher = calling()
    drained(puncher)
    puncher.handle_timeout(2.0)
    assert [probe.destination for probe in transmits(puncher)] == [OUTSIDE, INSIDE]


def test_called_when_all_is_over_nothing_more_is_sent_or_opened() -> None:
    puncher = calling(own_nat=HARD, peer_nat=EASY)
    drained(puncher)
    puncher.handle_timeout(60.0)
    assert [type(output) for output in drained(puncher)] == [PunchEnded]


def test_a_call_after_a_late_end_begins_a_new_attempt() -> None:
    puncher = calling()
    drained(puncher)
    call(puncher, token=TOKEN_2, now=60.0)
    ended, *rest = drained(puncher)
    assert isinstance(ended, PunchEnded)
    assert [probe.destination for probe in rest if isinstance(probe, Transmit)] == [OUTSIDE, INSIDE]
    assert puncher.is_punching(PEER)


def test_a_reply_opens_a_path_and_is_not_waited_for_again() -> None:
    puncher = calling()
    outside, _ = transmits(puncher)
    answer(puncher, outside, now=0.03)
    assert drained(puncher) == [PathFound(PEER, OUTSIDE, 0, 0.03, CandidateKind.SERVER_REFLEXIVE)]
    puncher.handle_timeout(0.06)
    assert [probe.destination for probe in transmits(puncher)] == [INSIDE]


def test_a_probe_is_answered_to_where_it_came_from() -> None:
    puncher = calling()
    drained(puncher)
    puncher.receive_datagram(probe_of_peer(7), OUTSIDE, 0, 0.1)
    reply = transmits(puncher)[0]
    decoded = ProbeDatagram.decode(reply.payload)
    ProbeDatagram.check_mac(reply.payload, keys_of_peer())
    assert (decoded.observed, decoded.sent_at_us, reply.destination) == (OUTSIDE, 7, OUTSIDE)
    assert len(reply.payload) == PROBE_BYTES


def test_a_source_that_was_not_announced_is_answered_and_probed() -> None:
    puncher = calling()
    drained(puncher)
    puncher.receive_datagram(probe_of_peer(7), ELSEWHERE, 0, 0.01)
    reply, probe = transmits(puncher)
    assert (reply.destination, probe.destination) == (ELSEWHERE, ELSEWHERE)
    answer(puncher, probe, now=0.04)
    assert drained(puncher) == [PathFound(PEER, ELSEWHERE, 0, 0.03, CandidateKind.PEER_REFLEXIVE)]


def test_at_most_four_sources_are_learnt() -> None:
    puncher = calling()
    drained(puncher)
    for number in range(1, 20):
        puncher.receive_datagram(probe_of_peer(number), Endpoint(OUTSIDE.address, number), 0, 0.01)
    outputs = transmits(puncher)
    replies = [output for output in outputs if ProbeDatagram.decode(output.payload).is_reply]
    assert (len(replies), len(outputs) - len(replies)) == (19, MAX_LEARNT)


def test_a_replayed_probe_is_dropped() -> None:
    puncher = calling()
    puncher.receive_datagram(probe_of_peer(7), OUTSIDE, 0, 0.1)
    drained(puncher)
    puncher.receive_datagram(probe_of_peer(7), ELSEWHERE, 0, 0.2)
    assert puncher.poll() is None
    assert puncher.drops == {PunchDrop.REPLAYED.value: 1}


def test_our_own_probe_sent_back_is_refused() -> None:
    puncher = calling()
    own = transmits(puncher)[0]
    puncher.receive_datagram(own.payload, OUTSIDE, 0, 0.1)
    assert puncher.poll() is None
    assert puncher.drops == {PunchDrop.BAD_MAC.value: 1}


def test_a_forged_mac_is_refused() -> None:
    puncher = calling()
    drained(puncher)
    forged = probe_of_peer(7)[:-1] + bytes([probe_of_peer(7)[-1] ^ 1])
    puncher.receive_datagram(forged, OUTSIDE, 0, 0.1)
    assert puncher.poll() is None
    assert puncher.drops == {PunchDrop.BAD_MAC.value: 1}


def test_a_probe_for_another_token_is_not_taken() -> None:
    puncher = calling()
    drained(puncher)
    other = probe_of_peer(7, TOKEN_2)
    assert puncher.takes(probe_of_peer(7))
    assert not puncher.takes(other)
    puncher.receive_datagram(other, OUTSIDE, 0, 0.1)
    assert puncher.poll() is None
    assert puncher.drops == {PunchDrop.UNKNOWN.value: 1}


def test_a_reply_counts_once_and_only_from_where_and_through_which_port_it_was_asked() -> None:
    puncher = calling()
    outside, _ = transmits(puncher)
    reply = reply_of_peer(outside)
    for source, via in ((ELSEWHERE, 0), (OUTSIDE, 9)):
        puncher.receive_datagram(reply, source, via, 0.01)
    assert puncher.poll() is None
    puncher.receive_datagram(reply, OUTSIDE, 0, 0.02)
    assert [type(output) for output in drained(puncher)] == [PathFound]
    puncher.receive_datagram(reply, OUTSIDE, 0, 0.03)
    assert puncher.poll() is None
    assert puncher.drops == {PunchDrop.UNASKED.value: 3}


@pytest.mark.parametrize("length", [*range(PROBE_BYTES), PROBE_BYTES + 1])
def test_each_truncation_is_dropped(length: int) -> None:
    puncher = calling()
    drained(puncher)
    puncher.receive_datagram((probe_of_peer(7) + b"\0")[:length], OUTSIDE, 0, 0.1)
    assert puncher.poll() is None
    assert puncher.drops == {PunchDrop.MALFORMED.value: 1}


@given(st.binary(max_size=100))
def test_random_bytes_are_dropped_and_counted(data: bytes) -> None:
    puncher = calling()
    drained(puncher)
    puncher.takes(data)
    puncher.receive_datagram(data, OUTSIDE, 0, 0.1)
    assert puncher.poll() is None
    assert sum(puncher.drops.values()) == 1


def test_the_keys_follow_from_the_token_and_both_names() -> None:
    probe_key = hashlib.sha256(b"shadowmesh/v1/punch" + TOKEN + OWN.raw + PEER.raw).digest()
    assert punch_keys(TOKEN, OWN, PEER) == ProbeKeys.derive(probe_key, OWN, PEER)
    assert punch_keys(TOKEN, PEER, OWN) == ProbeKeys.derive(probe_key, PEER, OWN)


def test_the_vector_of_a_probe_and_its_reply() -> None:
    vector = json.loads(Path("docs/spec/vectors/punching.json").read_text())["probe"]
    token, probe, reply = (bytes.fromhex(vector[name]) for name in ("token", "probe", "reply"))
    sender, receiver = (PeerID(bytes.fromhex(vector[name])) for name in ("sender", "receiver"))
    answering = Puncher(receiver, entropy=SeededEntropy(1), ids=OpenIds())
    answering.start(sender, token, [], own_nat=EASY, peer_nat=EASY, now=0.0)
    answering.receive_datagram(probe, Endpoint.of("203.0.113.5", 41641), 0, 0.0)
    assert [transmit.payload for transmit in transmits(answering)][:1] == [reply]
    assert ProbeDatagram.decode(reply).tag == bytes.fromhex(vector["tag"])


def test_when_both_call_at_once_either_token_is_heard() -> None:
    puncher = calling()
    call(puncher, token=TOKEN_2)
    drained(puncher)
    for number, token in enumerate((TOKEN, TOKEN_2)):
        puncher.receive_datagram(probe_of_peer(number, token), OUTSIDE, 0, 0.1)
        reply = transmits(puncher)[0]
        ProbeDatagram.check_mac(reply.payload, punch_keys(token, PEER, OWN))


def test_a_third_token_takes_the_place_of_the_first() -> None:
    puncher = calling()
    call(puncher, token=TOKEN_2)
    call(puncher, token=TOKEN_3)
    assert [puncher.takes(probe_of_peer(1, token)) for token in (TOKEN, TOKEN_2, TOKEN_3)] == [False, True, True]


def test_two_peers_with_one_token_do_not_disturb_each_other() -> None:
    puncher = calling()
    call(puncher, peer=OTHER)
    puncher.stop(OTHER)
    assert puncher.takes(probe_of_peer(7))
    puncher.stop(PEER)
    assert puncher.next_timeout() is None


def test_a_second_call_says_what_both_nats_do() -> None:
    puncher = calling(own_nat=UNKNOWN_NAT, peer_nat=UNKNOWN_NAT)
    call(puncher, token=TOKEN_2, own_nat=HARD, peer_nat=EASY, now=0.5)
    drained(puncher)
    puncher.handle_timeout(0.5 + SPRAY_AFTER_S)
    assert PortsWanted(PEER, MAX_SOCKETS) in drained(puncher)


def test_calls_without_end_bring_a_bounded_number_of_targets() -> None:
    puncher = calling(own_nat=EASY, peer_nat=COUNTING)
    for number in range(1, 60):
        candidates = [
            Candidate(CandidateKind.SERVER_REFLEXIVE, Endpoint.of(f"203.0.113.{number}", 1000 * each))
            for each in range(1, 20)
        ]
        call(puncher, token=bytes([number]) * 16, candidates=candidates, own_nat=EASY, peer_nat=COUNTING)
    assert len({probe.destination for probe in transmits(puncher)}) == MAX_TARGETS


def test_only_eight_candidates_of_a_call_count() -> None:
    many = [Candidate(CandidateKind.HOST, Endpoint.of("192.0.2.1", port)) for port in range(1, 20)]
    assert len(transmits(calling(candidates=many))) == MAX_CANDIDATES == 8


def test_punches_are_bounded_and_the_oldest_ends() -> None:
    puncher = Puncher(OWN, entropy=SeededEntropy(1), ids=OpenIds())
    peers = [PeerID(number.to_bytes(20, "big")) for number in range(MAX_PUNCHES + 1)]
    for peer in peers:
        call(puncher, peer=peer)
    ended = [output.peer for output in drained(puncher) if isinstance(output, PunchEnded)]
    assert ended == peers[:1]
    assert sum(puncher.is_punching(peer) for peer in peers) == MAX_PUNCHES


def test_who_stops_hears_nothing_more() -> None:
    puncher = calling()
    drained(puncher)
    puncher.stop(PEER)
    puncher.stop(PEER)
    assert (puncher.poll(), puncher.next_timeout()) == (None, None)
    assert not puncher.takes(probe_of_peer(7))
