"""Two nodes and a network between them: they always end with the same session, or with none."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.session.harness import (
    BAD,
    DEAD,
    Link,
    World,
    endpoint,
    identity,
    record,
    seeded_entropy,
    until_quiet,
)

from shadowmesh.session.events import DropReason, FailureReason, HandshakeFailed, Role
from shadowmesh.session.fragments import HEADER_BYTES, Fragment, cut
from shadowmesh.session.handshaker import Handshaker
from shadowmesh.session.macs import GateKeys, MacWriter, macs_of
from shadowmesh.session.messages import M1_BYTES, M2_BYTES, M3_BYTES
from shadowmesh.wire.open_ids import OpenIds


def test_a_ratchets_datagram_is_none_of_the_handshakes() -> None:
    world = World()
    a = world.node(1)
    for number in (5, 6, 7, 8):
        world.inject(cut(number, b"cidcidci", bytes(20)).datagrams[0], endpoint(2), a)
    assert a.handshaker.drops[DropReason.MALFORMED] == 4
    assert world.sent == []


def test_two_nodes_have_a_session_after_two_round_trips() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b)
    world.run()
    assert (a.session.role, b.session.role) == (Role.INITIATOR, Role.RESPONDER)
    assert (a.session.peer, b.session.peer) == (identity(2).peer_id, identity(1).peer_id)
    assert (a.session.endpoint, b.session.endpoint) == (b.endpoints[0], a.endpoints[0])
    assert (a.session.record, b.session.record) == (record(2), record(1))
    assert (a.session.wireguard_key, b.session.wireguard_key) == (b"\2" * 32, b"\1" * 32)
    assert a.session.took_s == pytest.approx(0.08)
    assert b.session.took_s == pytest.approx(0.04)
    assert (a.session.psk, a.session.probe_key) == (b.session.psk, b.session.probe_key)
    assert len({a.session.psk, a.session.probe_key, bytes(32)}) == 3
    assert not any(a.handshaker.drops.values())
    assert not any(b.handshaker.drops.values())


def test_no_datagram_shows_a_name_a_record_or_a_key_of_either_side() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b)
    world.run()
    wire = b"".join(sent.payload for sent in world.sent)
    for number in (1, 2):
        for secret in (
            identity(number).peer_id.raw,
            identity(number).public.public_key[:16],
            record(number).record_id[:8],
            bytes([number]) * 16,
        ):
            assert secret not in wire


def test_secrets_are_not_printed() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b)
    world.run()
    assert repr(a.session.psk) not in repr(a.session)
    assert repr(a.session.probe_key) not in repr(a.session)


def test_each_handshake_gives_other_keys() -> None:
    world = World()
    a, b = world.pair()
    for _ in range(3):
        world.connect(a, b)
        world.run(1)
    assert len({session.psk for session in a.sessions}) == 3
    assert [session.psk for session in a.sessions] == [session.psk for session in b.sessions]


def test_afterwards_nothing_is_kept() -> None:
    world = World(link=BAD)
    a, b = world.pair()
    world.connect(a, b)
    world.run(200)
    for node in (a, b):
        assert node.handshaker.next_timeout() is None
        assert node.handshaker.reassembly_bytes == 0


def test_the_same_entropy_gives_the_same_first_message() -> None:
    flights = []
    for _ in range(2):
        world = World(seed=5)
        a, b = world.pair()
        world.connect(a, b)
        flights.append([sent.payload for sent in world.sent])
    assert flights[0] == flights[1]


def test_a_node_needs_its_own_record() -> None:
    with pytest.raises(ValueError, match="its own key"):
        Handshaker(identity(1), record(2), entropy=seeded_entropy(1), wall_clock=lambda: 0.0, now=0.0, ids=OpenIds())


def test_a_peer_that_is_disallowed_is_not_answered_any_more() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b)
    world.run(1)
    b.handshaker.disallow(identity(1).fingerprint, world.now)
    flight3 = [sent.payload for sent in world.sent_by(a, 3)]
    assert [world.inject(datagram, a.endpoints[0], b) for datagram in flight3] == [[]] * len(flight3)
    world.connect(a, b)
    world.run()
    assert len(b.sessions) == 1
    assert b.handshaker.drops[DropReason.UNTRUSTED] > 0
    assert a.failures == [HandshakeFailed(identity(2).peer_id, FailureReason.TIMEOUT)]


def test_an_attempt_to_a_peer_that_is_disallowed_fails() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b)
    a.handshaker.disallow(identity(2).fingerprint, world.now)
    world.drain(a)
    world.run()
    assert a.events == [HandshakeFailed(identity(2).peer_id, FailureReason.CANCELLED)]


@pytest.mark.parametrize("restarted", ["a", "b"])
@pytest.mark.parametrize("connecting", ["a", "b"])
def test_a_peer_that_lost_everything_replaces_the_session(restarted: str, connecting: str) -> None:
    world = World()
    nodes = dict(zip("ab", world.pair(), strict=True))
    world.connect(nodes["a"], nodes["b"])
    world.run(1)
    old = nodes["a"].session.psk
    nodes[restarted].handshaker = world.handshaker(nodes[restarted].number)
    world.trust(nodes["a"], nodes["b"])
    world.connect(nodes[connecting], nodes["b" if connecting == "a" else "a"])
    world.run()
    assert nodes["a"].session.psk == nodes["b"].session.psk != old


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), restart_at=st.floats(0, 0.2), a_restarts=st.booleans())
def test_after_a_restart_at_any_moment_a_new_attempt_brings_both_together(
    seed: int, restart_at: float, a_restarts: bool
) -> None:
    world = World(seed, BAD)
    a, b = world.pair()
    world.connect(a, b)
    world.connect(b, a)
    world.run(restart_at)
    restarted, other = (a, b) if a_restarts else (b, a)
    restarted.handshaker = world.handshaker(restarted.number)
    restarted.events.clear()
    world.trust(a, b)
    world.run(40)
    world.connect(restarted, other)
    until_quiet(world, a, b)
    assert a.session.psk == b.session.psk


def test_replaying_everything_that_was_ever_sent_to_a_node_changes_nothing() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b)
    world.run(1)
    psk = a.session.psk
    for pause in (0.0, 61.0, 400.0):
        world.run(pause)
        for sent in world.sent[:]:
            for node in (a, b):
                world.inject(sent.payload, sent.source, node)
    world.run()
    assert len(a.sessions) == len(b.sessions) == 1
    assert a.session.psk == b.session.psk == psk


def test_a_node_does_not_fall_for_its_own_messages() -> None:
    world = World()
    a, b = world.pair()
    a.handshaker.allow(identity(1).fingerprint, record(1))
    world.connect(a, b)
    for _ in range(5):
        for sent in world.sent_by(a):
            if sent.message == 1:
                assert macs_of(sent.payload) != MacWriter(GateKeys.of(identity(1).public).mac1)(
                    sent.payload[:HEADER_BYTES]
                )
            else:
                assert world.inject(sent.payload, sent.destination, a) == []
        world.run(0.03)
    world.run()
    assert len(a.sessions) == 1
    assert a.session.psk == b.session.psk


def test_every_truncation_of_every_datagram_is_dropped_and_the_handshake_goes_on() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b)
    checked = 0
    while checked < len(world.sent):
        sent = world.sent[checked]
        target = b if sent.destination == b.endpoints[0] else a
        for length in range(len(sent.payload)):
            assert world.inject(sent.payload[:length], sent.source, target) == []
        checked += 1
        world.run(0.02 if checked == len(world.sent) else 0.0)
    assert a.session.psk == b.session.psk
    assert a.handshaker.drops[DropReason.MALFORMED] + b.handshaker.drops[DropReason.MALFORMED] == sum(
        len(sent.payload) for sent in world.sent
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), flips=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9855)), max_size=60))
def test_altered_copies_injected_beside_the_genuine_datagrams_neither_raise_nor_kill(
    seed: int, flips: list[tuple[int, int]]
) -> None:
    world = World(seed)
    a, b = world.pair()
    world.connect(a, b)
    for index, bit in flips:
        sent = world.sent[index % len(world.sent)]
        altered = bytearray(sent.payload)
        altered[bit // 8 % len(altered)] ^= 1 << bit % 8
        world.inject(bytes(altered), sent.source, b if sent.destination == b.endpoints[0] else a)
        world.run(0.005)
    until_quiet(world, a, b)
    assert a.session.psk == b.session.psk


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=1400),
            st.tuples(st.sampled_from([b"\x40\x01", b"\x41\x01"]), st.binary(max_size=1300)).map(b"".join),
            st.builds(
                lambda number, length, fill: cut(number, b"initiatr", bytes([fill]) * length).datagrams[0],
                st.integers(1, 4),
                st.sampled_from([52, M1_BYTES, M2_BYTES, M3_BYTES, M3_BYTES + 100]),
                st.integers(0, 255),
            ),
        ),
        max_size=20,
    )
)
def test_random_bytes_never_raise_and_are_never_answered(datagrams: list[bytes]) -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b, [DEAD])
    sent = len(world.sent)
    for datagram in datagrams:
        assert world.inject(datagram, endpoint(66), a) == []
        assert world.inject(datagram, endpoint(66), b) == []
    assert len(world.sent) == sent


def test_an_unknown_first_byte_is_malformed() -> None:
    world = World()
    a, _ = world.pair()
    for data in (b"", b"\x42", b"\x01" * 100):
        world.inject(data, endpoint(66), a)
    assert a.handshaker.drops[DropReason.MALFORMED] == 3


def test_one_node_talks_to_many_peers_at_once() -> None:
    world = World(link=Link(loss=0.05))
    hub, *others = [world.node(number) for number in range(1, 9)]
    for other in others:
        world.trust(hub, other)
    for number, other in enumerate(others):
        world.connect(*((hub, other) if number % 2 else (other, hub)))
    world.run()
    assert len({session.psk for session in hub.sessions}) == len(others)
    assert {session.psk for session in hub.sessions} == {other.session.psk for other in others}


def test_deadlines_move_forward_while_nobody_answers() -> None:
    world = World()
    a, b = world.pair()
    world.connect(a, b, [DEAD])
    deadlines = []
    while (deadline := a.handshaker.next_timeout()) is not None:
        deadlines.append(deadline)
        a.handshaker.handle_timeout(deadline)
        world.drain(a)
    assert all(earlier < later for earlier, later in pairwise(deadlines))
    assert deadlines[-1] == pytest.approx(1030.0)


def test_fragments_of_messages_to_unknown_connections_are_not_kept() -> None:
    world = World()
    a, _ = world.pair()
    for number, length in ((2, M2_BYTES), (3, M3_BYTES)):
        for datagram in cut(number, b"whoknows", bytes(length)).datagrams:
            assert Fragment.decode(datagram)
            world.inject(datagram, endpoint(66), a)
    assert a.handshaker.reassembly_bytes == 0
    assert a.handshaker.next_timeout() is None
