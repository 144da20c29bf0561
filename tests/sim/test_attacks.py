"""Six attacks on a session, as Mallory would try them. She is on the path, and holds whatever each test says.

More of what a liar may put into a single message: tests/unit/session/test_initiator.py, test_responder.py and
test_cipher.py. Floods: tests/e2e/test_handshake_flood.py and engine/core/src/gate/tests.rs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from tests.sim.flow import Flow
from tests.sim.host import Host
from tests.sim.world import World
from tests.unit.session import harness
from tests.unit.session.adversary import LyingInitiator, flight2
from tests.unit.session.harness import DEAD, identity, record

from shadowmesh.mesh.outputs import InstallPeer, PeerDisconnected
from shadowmesh.records.peer_record import Capability
from shadowmesh.session.cipher import Cipher
from shadowmesh.session.events import DropReason
from shadowmesh.session.fragments import HEADER_BYTES, Flight, Fragment, cut
from shadowmesh.session.messages import M2_HEAD_BYTES, Claim, Message1
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.first_byte import ControlType

AES = Capability.AES_256_GCM
MALLORY = Endpoint.of("203.0.113.66", 41641)
ALICE, BOB, MALLORYS_NODE = 1, 2, 3
_CAPABILITIES_AT = {2: M2_HEAD_BYTES + 49, 3: 1 + 20 + 49}  # the lower byte of a claim's, under the seal
Kind = tuple[int, int]  # type, and message number of a fragment or a request
FRAGMENT_BYTES = Flight(2, bytes(8), bytes(8), 1).fragment_bytes
KINDS: dict[str, Kind] = {
    **{f"M{number}": (ControlType.SESSION, number) for number in (1, 2, 3, 4)},
    "missing-request for M2": (ControlType.SESSION_MISSING, 2),
    "missing-request for M3": (ControlType.SESSION_MISSING, 3),
    "cookie reply": (ControlType.COOKIE, 0),
    "ratchet offer": (ControlType.SESSION, 5),
    "ratchet answer": (ControlType.SESSION, 6),
    "ratchet confirm": (ControlType.SESSION, 7),
    "ratchet done": (ControlType.SESSION, 8),
    "probe": (ControlType.PROBE, 0),
    "probe reply": (ControlType.PROBE_REPLY, 0),
}


# Identity misbinding: Alice and Bob must not have one key and differ on whom they share it with.


def test_identity_misbinding_of_the_responder() -> None:
    """Mallory, whom both trust, passes Alice's M1 for her on to Bob, and Bob's answer back as her own."""
    world = harness.World()
    alice, bob, mallory = (world.node(number) for number in (ALICE, BOB, MALLORYS_NODE))
    for one, other in ((alice, bob), (alice, mallory), (bob, mallory)):
        world.trust(one, other)
    world.connect(alice, mallory, [DEAD])
    passed_on = b"".join(Fragment.decode(sent.payload).payload for sent in world.sent_by(alice, 1))
    cid = Message1.decode(passed_on).cid
    answer = [sent.payload for part in cut(1, cid, passed_on).datagrams for sent in world.inject(part, MALLORY, bob)]
    assert len(answer) == 6
    for datagram in answer:
        world.inject(datagram, DEAD, alice)
    assert alice.handshaker.drops[DropReason.UNDECRYPTABLE] == 1
    world.run()
    assert not alice.sessions + bob.sessions


def test_identity_misbinding_of_the_initiator() -> None:
    """Mallory shows Bob the signature by which Alice proved herself to Mallory; then her own name over Alice's."""
    for named, signed_responder in ((ALICE, MALLORYS_NODE), (MALLORYS_NODE, BOB)):
        world = harness.World()
        bob = world.node(BOB)
        for number in (ALICE, MALLORYS_NODE):
            bob.handshaker.allow(identity(number).fingerprint, None)
        liar = _opened(world, bob)
        flight3 = liar.flight3(
            named=identity(named).fingerprint,
            signer=identity(ALICE),
            claim=Claim.of(record(named)),
            sent_record=record(named).encoded,
            signed_responder=identity(signed_responder).fingerprint,
        )
        assert not [answer for datagram in flight3 for answer in world.inject(datagram, MALLORY, bob)]
        assert bob.handshaker.drops[DropReason.BAD_SIGNATURE] == 1
        assert not bob.sessions


# Replay: nothing that was ever sent does anything a second time, wherever it is sent from.


@pytest.mark.parametrize("kind", KINDS)
def test_replay(kind: str) -> None:
    """To whom it was sent and to who sent it, with the address of its sender and with Mallory's, at once and later."""
    past = _Recording.of_a_long_session()
    world, alice, bob = past.world, past.alice, past.bob
    before = [_psks(alice), _psks(bob)]
    replayed = [datagram for datagram in past.datagrams if _kind(datagram[0]) == KINDS[kind]]
    assert replayed
    for later_s in (0.0, 10.0, 65.0, 400.0):
        world.run_for(later_s)
        for payload, source, destination in replayed:
            for forged_source, target in ((source, destination), (destination, source), (MALLORY, destination)):
                world.network.forge(payload, forged_source, target)
            world.run_for(0.01)
        assert past.bytes_to_mallory <= 3 * sum(len(payload) for payload, *_ in replayed)
        past.bytes_to_mallory = 0
    world.run_for(40)
    assert [_psks(alice), _psks(bob)] == before
    assert world.would_pass(alice, bob)
    assert not _lost(alice, bob)


# Key-compromise impersonation: who has stolen Alice's keys can be Alice, but can't be Bob towards Alice.


def test_key_compromise_impersonation_as_responder() -> None:
    world = harness.World()
    alice = world.node(ALICE)
    alice.handshaker.allow(identity(BOB).fingerprint, record(BOB))
    alice.handshaker.connect(record(BOB), [DEAD], world.now)
    world.drain(alice)
    flight1 = [sent.payload for sent in world.sent_by(alice, 1)]
    for datagram in flight2(flight1, named=BOB, signer=ALICE):
        world.inject(datagram, MALLORY, alice)
    assert alice.handshaker.drops[DropReason.BAD_SIGNATURE] == 1
    assert not world.sent_by(alice, 3)


def test_key_compromise_impersonation_as_initiator() -> None:
    world = harness.World()
    alice = world.node(ALICE)
    alice.handshaker.allow(identity(BOB).fingerprint, record(BOB))
    bob = record(BOB)
    for sent_record in (b"", bob.encoded):
        liar = _opened(world, alice, ALICE)
        flight3 = liar.flight3(
            named=identity(BOB).fingerprint, signer=identity(ALICE), claim=Claim.of(bob), sent_record=sent_record
        )
        assert not [answer for datagram in flight3 for answer in world.inject(datagram, MALLORY, alice)]
    assert alice.handshaker.drops[DropReason.BAD_SIGNATURE] == 2
    assert not alice.sessions


# Downgrade: nobody between the two takes away the better cipher, the suite or the version.


def test_downgrade_on_the_path() -> None:
    """Mallory injects each datagram in other versions, and those with a claim without its AES bit, before it."""
    world, alice, bob = _pair(AES)
    rewritten: Counter[int] = Counter()

    def rewrite(payload: bytes, source: Endpoint, destination: Endpoint) -> bool:
        if payload[0] != ControlType.SESSION:
            return True
        rewritten[payload[2]] += 1
        for version in (0, 2):
            world.network.forge(payload[:1] + bytes([version]) + payload[2:], source, destination)
        at = HEADER_BYTES + _CAPABILITIES_AT.get(payload[2], 0) % FRAGMENT_BYTES
        if payload[3] >> 4 == _CAPABILITIES_AT.get(payload[2], 0) // FRAGMENT_BYTES:
            altered = payload[:at] + bytes([payload[at] ^ AES]) + payload[at + 1 :]
            world.network.forge(altered, source, destination)
        return True

    world.network.on_path = rewrite
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=5)
    assert set(rewritten) >= {1, 2, 3, 4}
    assert _ciphers(alice, bob) == {Cipher.AES_256_GCM}


@pytest.mark.parametrize("suite", [0, 2, 0xFFFF])
def test_downgrade_to_another_suite(suite: int) -> None:
    world = harness.World()
    bob = world.node(BOB)
    liar = LyingInitiator(BOB, suite=suite)
    assert not [answer for datagram in liar.flight1 for answer in world.inject(datagram, MALLORY, bob)]


def test_downgrade_by_a_backbone_that_serves_an_old_record() -> None:
    """A genuine record of Bob from before his processor had AES: what counts is what both sign in the exchange."""
    world, alice, bob = _pair(AES)
    bob.start()
    world.run_for(2)
    new = bob.machine.own_record.record
    old = replace(new, sequence=new.sequence - 1, capabilities=0).sign(bob.identity)
    world.registry.records[bob.peer_id] = old
    alice.start()
    alice.connect(bob)
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=5)
    assert _ciphers(alice, bob) == {Cipher.AES_256_GCM}


# Reflection: a node that gets back what it sent believes none of it.


def test_reflection() -> None:
    """Every datagram of a session's life also returns to its sender, in the name of whom it was for."""
    world, alice, bob = _pair(AES)
    reflected: Counter[Kind] = Counter()

    def reflect(payload: bytes, source: Endpoint, destination: Endpoint) -> bool:
        if payload[0] < ControlType.SESSION:
            return True
        reflected[_kind(payload)] += 1
        world.timeline.after(0.001, lambda: world.network.forge(payload, destination, source))
        return True

    world.network.on_path = reflect
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=5)
    Flow(world, alice, bob)
    world.run_for(130)
    assert world.would_pass(alice, bob)
    assert not _lost(alice, bob)
    assert {KINDS[name] for name in ("M1", "M2", "M3", "M4", "ratchet done", "probe reply")} <= set(reflected)
    assert sum(reflected.values()) < 100
    assert alice.machine.drops["probe: bad mac"] > 0


# Fragment poisoning: forged fragments beside the genuine ones.


def test_fragment_poisoning() -> None:
    """Mallory sees each fragment first, and her forgery with the same header arrives before it."""
    world, alice, bob = _pair(AES)
    poisoned: Counter[int] = Counter()

    def poison(payload: bytes, source: Endpoint, destination: Endpoint) -> bool:
        if payload[0] == ControlType.SESSION:
            poisoned[payload[2]] += 1
            head = payload[: Fragment.decode(payload).flight.head_bytes]
            forged = head.ljust(len(payload), b"\0")
            world.network.forge(forged, source, destination)
        return True

    world.network.on_path = poison
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    Flow(world, alice, bob)
    world.run_for(130)
    assert world.would_pass(alice, bob)
    assert set(poisoned) == {1, 2, 3, 4, 5, 6, 7, 8}
    assert all(len(_psks(host)) >= 2 for host in (alice, bob))


class _Recording:
    """A session with all that can occur: cookies, requests for lost fragments, a ratchet, probes."""

    def __init__(self) -> None:
        self.datagrams: list[tuple[bytes, Endpoint, Endpoint]] = []
        self.bytes_to_mallory = 0
        self.world, self.alice, self.bob = _pair(AES)
        self._lost: set[Kind] = set()
        self.world.network.on_path = self._see

    @classmethod
    def of_a_long_session(cls) -> _Recording:
        past = cls()
        past.bob.start()
        past.world.run_for(2)
        past.alice.start()
        assert past.bob.engine is not None
        past.bob.engine.demands_cookies = True
        past.world.run_until(lambda: past.world.would_pass(past.alice, past.bob), limit_s=5)
        for _ in range(11):
            past.world.run_for(10)
            past.alice.traffic_with(past.bob)
            past.bob.traffic_with(past.alice)
        past.world.run_for(15)
        return past

    def _see(self, payload: bytes, source: Endpoint, destination: Endpoint) -> bool:
        if destination == MALLORY:
            self.bytes_to_mallory += len(payload)
        if {source, destination} != {self.alice.endpoint, self.bob.endpoint}:
            return True
        self.datagrams.append((payload, source, destination))
        kind = _kind(payload)
        is_first = kind in (KINDS["M2"], KINDS["M3"]) and kind not in self._lost
        self._lost.add(kind)
        return not is_first


def _kind(payload: bytes) -> Kind:
    with_message = payload[0] in (ControlType.SESSION, ControlType.SESSION_MISSING)
    return payload[0], payload[2] if with_message else 0


def _pair(capabilities: int) -> tuple[World, Host, Host]:
    world = World()
    alice, bob = world.pair(capabilities)
    return world, alice, bob


def _opened(world: harness.World, responder: harness.Node, number: int = BOB) -> LyingInitiator:
    """One that has got its M2."""
    liar = LyingInitiator(number, cid=len(world.sent).to_bytes(8, "big"))
    answers = [answer for datagram in liar.flight1 for answer in world.inject(datagram, MALLORY, responder)]
    liar.read([answer.payload for answer in answers])
    return liar


def _ciphers(*hosts: Host) -> set[Cipher | None]:
    return {peer.cipher for host in hosts for peer in host.machine.peers()}


def _psks(host: Host) -> list[bytes]:
    return [output.psk for output in host.outputs if isinstance(output, InstallPeer)]


def _lost(*hosts: Host) -> list[PeerDisconnected]:
    return [output for host in hosts for output in host.outputs if isinstance(output, PeerDisconnected)]
