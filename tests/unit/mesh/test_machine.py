"""The machine's contract towards its shell. How nodes behave together is in tests/sim."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.sim.chance import SeededEntropy
from tests.sim.world import WALL_START, World, identity_number
from tests.unit.mesh.records import forged, record_of

from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.updates import Call, CallFailed, ServerMessage, Update
from shadowmesh.mesh.errors import MeshError, NameTaken, NotTrusted, PeerAlreadyTrusted
from shadowmesh.mesh.machine import Mesh
from shadowmesh.mesh.outputs import (
    ConnectFailed,
    LeaveBackbone,
    LogIn,
    LookedUp,
    LookUp,
    Notice,
    Output,
    PeerConnected,
    PublishRecord,
    SaveRecord,
    SaveState,
    SendUpdate,
)
from shadowmesh.mesh.state import LinkState, MeshConfig, PeerState, SavedState, TrustedPeer
from shadowmesh.records.cache_entry import CacheEntry
from shadowmesh.records.hints import Hints
from shadowmesh.records.peer_record import REVOKED_SEQUENCE
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.transmit import Transmit

ME = identity_number(5000)
IDENTITIES = [identity_number(number) for number in range(1, 5)]
PEERS = [TrustedPeer(identity.fingerprint, f"peer{number}") for number, identity in enumerate(IDENTITIES, 1)]
RECORDS = [record_of(number) for number in range(1, 5)]
BOB, RECORD = PEERS[0], RECORDS[0]
BOB_ID = BOB.fingerprint.peer_id
BACKBONE = World().backbone.pin
HINTS = Hints(True, 0)
WHERE = Endpoint.of("198.18.0.3", 41641)
EXPIRY = int(WALL_START) + 86400


def test_the_records_number_is_saved_before_anything_else_happens() -> None:
    mesh = made()
    outputs = drained(mesh)
    assert outputs[0] == SaveState()
    assert isinstance(outputs[1], LogIn)
    assert mesh.saved_state().record_sequence == mesh.own_record.record.sequence


def test_a_renewed_record_is_saved_before_it_is_published() -> None:
    mesh = online()
    mesh.published(0.0)
    drained(mesh)
    mesh.handle_timeout(43200.0)
    outputs = drained(mesh)
    publication = next(index for index, output in enumerate(outputs) if isinstance(output, PublishRecord))
    assert SaveState() in outputs[:publication]


def test_the_keys_and_the_address_follow_from_the_identity() -> None:
    mesh = made()
    assert mesh.wireguard_private_key == ME.derive(b"shadowmesh/v1/wireguard-static")
    assert mesh.overlay_address == ME.peer_id.overlay_address


def test_trust_is_saved_at_once_and_survives() -> None:
    mesh = made()
    drained(mesh)
    mesh.trust(BOB, 1.0)
    assert SaveState() in drained(mesh)
    assert mesh.trusted() == (BOB,)
    assert made(mesh.saved_state()).trusted() == (BOB,)


def test_trust_that_breaks_a_rule_is_refused_and_changes_nothing() -> None:
    mesh = made(SavedState(trusted=(BOB,)))
    with pytest.raises(PeerAlreadyTrusted):
        mesh.trust(BOB, 1.0)
    with pytest.raises(NameTaken):
        mesh.trust(TrustedPeer(PEERS[1].fingerprint, BOB.name), 1.0)
    assert mesh.trusted() == (BOB,)


def test_saved_trust_that_breaks_a_rule_is_told() -> None:
    mesh = made(SavedState(trusted=(BOB, TrustedPeer(PEERS[1].fingerprint, BOB.name))))
    (notice,) = [output for output in drained(mesh) if isinstance(output, Notice)]
    assert BOB.name in notice.text


def test_commands_for_somebody_who_is_not_trusted_are_refused() -> None:
    mesh = made()
    with pytest.raises(NotTrusted):
        mesh.connect(BOB_ID, 0.0)
    with pytest.raises(NotTrusted):
        mesh.ping(BOB_ID, 1, 0.0)
    with pytest.raises(NotTrusted):
        mesh.untrust(BOB.fingerprint, 0.0)


def test_a_connection_that_can_not_be_made_is_answered() -> None:
    mesh = made(SavedState(trusted=(BOB,)), backbone=False)
    mesh.connect(BOB_ID, 0.0)
    (failed,) = [output for output in drained(mesh) if isinstance(output, ConnectFailed)]
    assert failed.reason.startswith("no record of peer1 is held")
    (status,) = mesh.peers()
    assert (status.state, status.reason) == (PeerState.UNREACHABLE, failed.reason)


def test_a_packet_for_nobody_we_trust_is_dropped() -> None:
    mesh = made(backbone=False)
    mesh.packet_unrouted(BOB_ID.overlay_address, 0.0)
    mesh.packet_unrouted(IPv4Address("10.10.0.1"), 0.0)
    assert mesh.drops == {"packet for nobody we trust": 2}


def test_datagrams_of_no_known_kind_are_counted() -> None:
    mesh = made(backbone=False)
    for data in (b"", b"\x99abc", b"\x40", b"\x44", b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12)):
        mesh.receive_datagram(data, WHERE, 0.0)
    assert sum(mesh.drops.values()) == 5


def test_a_look_up_of_our_own_name_is_answered_from_here() -> None:
    mesh = made(backbone=False)
    mesh.look_up(ME.peer_id, 0.0)
    assert LookedUp(ME.peer_id, mesh.own_record, "cache", False) in drained(mesh)


def test_anybody_can_be_looked_up_at_the_backbone_and_then_in_the_cache() -> None:
    mesh = online()
    mesh.look_up(BOB_ID, 0.0)
    assert LookUp(BOB_ID, None) in drained(mesh)
    mesh.peer_found(BOB_ID, RECORD, RECORD.record_id, HINTS, 0.1)
    outputs = drained(mesh)
    assert SaveRecord(RECORD) in outputs
    assert LookedUp(BOB_ID, RECORD, "backbone", True) in outputs
    mesh.look_up(BOB_ID, 1.0)
    assert LookedUp(BOB_ID, RECORD, "cache", None) in drained(mesh)


def test_a_record_of_ours_that_we_have_forgotten_is_outdone() -> None:
    mesh = online()
    mesh.backbone_failed(Problem.RECORD_STALE, "", None, 0.0)
    assert LookUp(ME.peer_id, mesh.own_record.record_id[:8]) in drained(mesh)
    forgotten = record_of(5000, sequence=10**15)
    mesh.peer_found(ME.peer_id, forgotten, forgotten.record_id, HINTS, 0.1)
    assert mesh.own_record.record.sequence == 10**15 + 1
    mesh.handle_timeout(10.0)
    assert PublishRecord(mesh.own_record) in drained(mesh)


def test_a_forged_record_of_ours_changes_nothing() -> None:
    mesh = online()
    before = mesh.own_record
    fake = forged(record_of(5000, sequence=10**15))
    mesh.peer_found(ME.peer_id, fake, fake.record_id, HINTS, 0.1)
    assert mesh.own_record == before


def test_a_record_that_the_backbone_has_already_is_not_published_again() -> None:
    mesh = online()
    mesh.backbone_failed(Problem.RECORD_STALE, "", None, 0.0)
    drained(mesh)
    mesh.peer_found(ME.peer_id, None, mesh.own_record.record_id, HINTS, 0.1)
    mesh.handle_timeout(1000.0)
    assert not [output for output in drained(mesh) if isinstance(output, PublishRecord)]


def test_changes_of_the_cache_alone_are_not_saved_all_the_time() -> None:
    mesh = online()
    saves = 0
    for index in range(4):
        mesh.look_up(PEERS[index].fingerprint.peer_id, index * 0.1)
        mesh.peer_found(RECORDS[index].peer_id, RECORDS[index], RECORDS[index].record_id, HINTS, index * 0.1)
        saves += drained(mesh).count(SaveState())
    assert saves <= 1
    mesh.handle_timeout(6.0)
    assert SaveState() in drained(mesh)


def test_a_stop_saves_and_leaves() -> None:
    mesh = online()
    mesh.stop(1.0)
    assert [type(output) for output in drained(mesh)][:2] == [SaveState, LeaveBackbone]


def test_a_stop_removes_every_tunnel_and_a_connected_peer_is_told_at_once() -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    alice.outputs.clear()
    alice.connect(bob)
    assert isinstance(alice.outputs[0], PeerConnected)
    alice.feed(lambda mesh, now: mesh.stop(now))
    assert alice.engine is not None
    assert not alice.engine.peers


def test_a_ping_of_a_peer_that_is_not_connected_waits_for_the_connection() -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_for(0.05)
    alice.feed(lambda mesh, now: mesh.ping(bob.peer_id, 5, now))
    world.run_until(lambda: any("Ponged" in repr(output) for output in alice.outputs), limit_s=5)


def test_a_peer_that_revokes_its_identity_loses_its_tunnel() -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    last = record_of(2, sequence=REVOKED_SEQUENCE)
    assert last.peer_id == bob.peer_id
    alice.feed(lambda mesh, now: mesh.peer_found(bob.peer_id, last, last.record_id, HINTS, now))
    assert alice.engine is not None
    assert not alice.engine.peers
    assert not alice.is_connected(bob)


def test_the_link_is_shown_with_its_reason() -> None:
    mesh = made()
    mesh.backbone_failed(None, "connection refused", None, 0.0)
    assert mesh.link().state is LinkState.OFFLINE
    assert "connection refused" in mesh.link().reason


class AnyInput(RuleBasedStateMachine):
    """Whatever is fed in, nothing but the documented errors is raised, and the machine never spins."""

    @initialize(seed=st.integers(0, 2**32), known=st.booleans())
    def begin(self, seed: int, known: bool) -> None:
        self.now = 0.0
        self.wall_s = WALL_START
        cache = tuple(CacheEntry(peer.fingerprint, endpoint=WHERE) for peer in PEERS[:2])
        saved = SavedState(trusted=tuple(PEERS[:2]), cache=cache, records=tuple(RECORDS[:2]))
        self.mesh = Mesh(
            ME,
            MeshConfig((BACKBONE,)),
            saved if known else SavedState(),
            entropy=SeededEntropy(seed),
            wall_clock=lambda: self.wall_s,
            now=0.0,
        )
        self.sent: list[bytes] = []

    @rule(wait_s=st.sampled_from([0.0, 0.02, 1.0, 30.0, 4000.0, 90000.0]))
    def wait(self, wait_s: float) -> None:
        self.now += wait_s
        self.mesh.handle_timeout(self.now)
        due_at = self.mesh.next_timeout()
        assert due_at is None or due_at > self.now

    @rule()
    def wait_for_the_next_deadline(self) -> None:
        due_at = self.mesh.next_timeout()
        self.wait(0.0 if due_at is None else max(0.0, due_at - self.now))

    @rule(jump_s=st.sampled_from([-1e9, -3600.0, 3600.0, 1e9]))
    def set_the_wall_clock(self, jump_s: float) -> None:
        self.wall_s = max(0.0, self.wall_s + jump_s)

    @rule(data=st.binary(max_size=100))
    def receive_rubbish(self, data: bytes) -> None:
        self.mesh.receive_datagram(data, WHERE, self.now)

    @rule(offset=st.integers(0, 1300), pick=st.integers(0, 1000))
    def receive_what_was_sent_with_a_byte_changed(self, offset: int, pick: int) -> None:
        if self.sent:
            data = bytearray(self.sent[pick % len(self.sent)])
            data[offset % len(data)] ^= pick & 0xFF
            self.mesh.receive_datagram(bytes(data), WHERE, self.now)

    @rule(expires_at=st.sampled_from([0, EXPIRY, 2**39]), version=st.integers(0, 3))
    def log_in(self, expires_at: int, version: int) -> None:
        self.mesh.logged_in(expires_at, version, self.now)

    @rule(expires_at=st.sampled_from([0, EXPIRY]), version=st.integers(0, 3))
    def renew(self, expires_at: int, version: int) -> None:
        self.mesh.renewed(expires_at, version, self.now)

    @rule(problem=st.sampled_from([None, *Problem]), retry_after_s=st.sampled_from([None, 0.0, 100.0, 1e9]))
    def fail(self, problem: Problem | None, retry_after_s: float | None) -> None:
        self.mesh.backbone_failed(problem, "why", retry_after_s, self.now)

    @rule(encoded=st.binary(max_size=40))
    def receive_directory(self, encoded: bytes) -> None:
        self.mesh.directory_received(encoded, self.now)

    @rule()
    def publish(self) -> None:
        self.mesh.published(self.now)

    @rule(index=st.integers(0, 3), kind=st.sampled_from(["record", "other", "forged", "none"]))
    def find(self, index: int, kind: str) -> None:
        record = {
            "record": RECORDS[index],
            "other": RECORDS[index - 1],
            "forged": forged(RECORDS[index]),
            "none": None,
        }[kind]
        self.mesh.peer_found(RECORDS[index].peer_id, record, RECORDS[index].record_id, HINTS, self.now)

    @rule(index=st.integers(0, 3), failed=st.booleans())
    def find_nothing(self, index: int, failed: bool) -> None:
        peer = RECORDS[index].peer_id
        if failed:
            self.mesh.look_up_failed(peer, "timed out", self.now)
        else:
            self.mesh.peer_not_found(peer, self.now)

    @rule()
    def open_updates(self) -> None:
        self.mesh.updates_opened(self.now)

    @rule()
    def close_updates(self) -> None:
        self.mesh.updates_closed("reset", self.now)

    @rule(index=st.integers(0, 3), what=st.integers(0, 4), candidates=st.lists(st.binary(min_size=19, max_size=19)))
    def update(self, index: int, what: int, candidates: list[bytes]) -> None:
        peer = RECORDS[index].peer_id.raw
        messages: list[ServerMessage] = [
            Update(peer=peer, record_id=bytes(32), hints=Hints(True, 0, (WHERE,)).encode()),
            Update(peer=peer, record_id=bytes(32), hints=b"\xff"),
            Call(peer, bytes(16), False, [b"\1" + WHERE.encode(), *candidates[:7]], bytes(8)),
            Call(peer, bytes(16), True, candidates[:8], bytes(8)),
            CallFailed(peer=peer, token=bytes(16), reason=""),
        ]
        self.mesh.update_received(messages[what], self.now)

    @rule(index=st.integers(0, 3), what=st.integers(0, 5))
    def command(self, index: int, what: int) -> None:
        peer = PEERS[index]
        peer_id = peer.fingerprint.peer_id
        commands: list[Any] = [
            lambda: self.mesh.trust(peer, self.now),
            lambda: self.mesh.untrust(peer.fingerprint, self.now),
            lambda: self.mesh.connect(peer_id, self.now),
            lambda: self.mesh.ping(peer_id, 1, self.now),
            lambda: self.mesh.look_up(peer_id, self.now),
            lambda: self.mesh.packet_unrouted(peer_id.overlay_address, self.now),
        ]
        with contextlib.suppress(MeshError):
            commands[what]()

    @rule(count=st.integers(0, 3), base=st.integers(1, 200))
    def change_network(self, count: int, base: int) -> None:
        endpoints = [Endpoint.of(f"198.18.{base}.{index + 1}", 41641) for index in range(count)]
        self.mesh.local_endpoints_changed(endpoints, self.now)

    @invariant()
    def outputs_are_bounded(self) -> None:
        outputs = drained(self.mesh)
        self.sent = [*self.sent, *(output.payload for output in outputs if isinstance(output, Transmit))][-50:]
        assert len(outputs) <= 100
        assert len([output for output in outputs if isinstance(output, SendUpdate)]) <= 10
        assert len(self.mesh.saved_state().cache) <= 100
        assert self.mesh.drops.keys() == {key for key, count in self.mesh.drops.items() if count}
        assert len(self.mesh.peers()) == len(self.mesh.trusted())


AnyInput.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestAnyInput = AnyInput.TestCase


def made(saved: SavedState | None = None, *, backbone: bool = True) -> Mesh:
    config = MeshConfig((BACKBONE,) if backbone else ())
    return Mesh(ME, config, saved or SavedState(), entropy=SeededEntropy(1), wall_clock=lambda: WALL_START, now=0.0)


def online() -> Mesh:
    """Logged in at 0.0, and the record is being published."""
    mesh = made()
    mesh.logged_in(EXPIRY, 0, 0.0)
    drained(mesh)
    return mesh


def drained(mesh: Mesh) -> list[Output]:
    outputs: list[Output] = []
    while (output := mesh.poll()) is not None:
        outputs.append(output)
    return outputs
