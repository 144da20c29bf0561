"""Which cipher two nodes use, and what an attacker can do about it."""

from dataclasses import replace

import pytest
from tests.unit.session.adversary import LyingInitiator, flight2
from tests.unit.session.harness import Node, World, endpoint, identity, record

from shadowmesh.records.peer_record import Capability, SignedRecord
from shadowmesh.session.cipher import Cipher, agreed_cipher
from shadowmesh.session.events import DropReason
from shadowmesh.session.fragments import HEADER_BYTES, cut
from shadowmesh.session.messages import M2_HEAD_BYTES, Claim

AES = Capability.AES_256_GCM
MALLORY = endpoint(66)


@pytest.mark.parametrize(
    ("one", "other", "agreed"),
    [
        (AES, AES, Cipher.AES_256_GCM),
        (AES | Capability.RELAY, AES | Capability.TCP_443, Cipher.AES_256_GCM),
        (AES, 0, Cipher.CHACHA20_POLY1305),
        (0, AES, Cipher.CHACHA20_POLY1305),
        (~AES & 0xFFFF, ~AES & 0xFFFF, Cipher.CHACHA20_POLY1305),
    ],
)
def test_aes_needs_the_capability_of_both(one: int, other: int, agreed: Cipher) -> None:
    claim = Claim.of(record(1))
    assert agreed_cipher(replace(claim, capabilities=one), replace(claim, capabilities=other)) is agreed


@pytest.mark.parametrize(("a_can", "b_can"), [(AES, AES), (AES, 0), (0, AES), (0, 0)])
def test_both_ends_of_a_session_come_to_the_same(a_can: int, b_can: int) -> None:
    world, a, b = _pair(a_can, b_can)
    _connect(world, a, b)
    world.run(5.0)
    assert a.session.cipher is b.session.cipher
    assert (a.session.cipher is Cipher.AES_256_GCM) == bool(a_can & b_can)
    assert a.session.psk == b.session.psk


@pytest.mark.parametrize("message", [2, 3])
def test_who_changes_the_capabilities_on_the_way_stops_the_message_and_nothing_more(message: int) -> None:
    """Every bit of both bytes, in M2 of one who has AES and in M3 of one who has not."""
    world, a, b = _pair(0, AES)
    sender, receiver = (b, a) if message == 2 else (a, b)
    world.lose = lambda sent: sent.message == message
    _connect(world, a, b)
    world.run(0.2)
    genuine = world.sent_by(sender, message)
    whole = b"".join(sent.payload[HEADER_BYTES:] for sent in genuine)
    at = M2_HEAD_BYTES + 48 if message == 2 else 1 + 20 + 48
    for bit in range(16):
        forged = bytearray(whole)
        forged[at + bit // 8] ^= 1 << bit % 8
        for datagram in cut(message, genuine[0].payload[4:12], bytes(forged)).datagrams:
            world.inject(datagram, sender.endpoints[0], receiver)
    assert receiver.handshaker.drops[DropReason.UNDECRYPTABLE] == 16
    world.lose = lambda _: False
    world.run(5.0)
    assert a.session.cipher is b.session.cipher is Cipher.CHACHA20_POLY1305


@pytest.mark.parametrize(("then", "now"), [(0, AES), (AES, 0)])
def test_an_old_record_that_is_served_again_does_not_bring_back_the_cipher_of_its_time(then: int, now: int) -> None:
    """Mallory answers the look-up with a genuine record of yesterday: what counts is signed in the exchange."""
    world = World()
    yesterday, today = record(2, capabilities=then), record(2, sequence=2, capabilities=now)
    a, b = world.node(1, own=record(1, capabilities=AES)), world.node(2, own=today)
    world.trust(a, b)
    _connect(world, a, b, yesterday)
    world.run(5.0)
    assert a.session.cipher is b.session.cipher
    assert (a.session.cipher is Cipher.AES_256_GCM) == bool(now)


@pytest.mark.parametrize("recorded", [0, AES])
def test_a_responder_that_claims_what_its_record_denies_is_refused(recorded: int) -> None:
    """It could make us use a cipher that is slow here, or deny us the one that its owner asked for."""
    world, a, b = _pair(AES, recorded)
    world.lose = lambda sent: sent.message == 2
    _connect(world, a, b)
    flight1 = [sent.payload for sent in world.sent_by(a, 1)]
    claim = replace(Claim.of(record(2, capabilities=recorded)), capabilities=recorded ^ AES)
    for datagram in flight2(flight1, named=2, signer=2, claim=claim):
        assert not world.inject(datagram, b.endpoints[0], a)
    assert a.handshaker.drops[DropReason.RECORD_REFUSED] == 1
    assert not a.sessions


@pytest.mark.parametrize("recorded", [0, AES])
@pytest.mark.parametrize("sends_record", [False, True])
def test_an_initiator_that_claims_what_its_record_denies_is_refused(recorded: int, sends_record: bool) -> None:
    world, _, b = _pair(recorded, AES)
    own = record(1, capabilities=recorded)
    b.handshaker.allow(identity(1).fingerprint, own)
    liar = LyingInitiator(2)
    answers = [answer for datagram in liar.flight1 for answer in world.inject(datagram, MALLORY, b)]
    liar.read([answer.payload for answer in answers])
    flight3 = liar.flight3(
        named=identity(1).fingerprint,
        signer=identity(1),
        claim=replace(Claim.of(own), capabilities=recorded ^ AES),
        sent_record=own.encoded if sends_record else b"",
    )
    assert not [answer for datagram in flight3 for answer in world.inject(datagram, MALLORY, b)]
    assert b.handshaker.drops[DropReason.RECORD_REFUSED] == 1
    assert not b.sessions


def _pair(a_can: int, b_can: int) -> tuple[World, Node, Node]:
    world = World()
    a, b = world.node(1, own=record(1, capabilities=a_can)), world.node(2, own=record(2, capabilities=b_can))
    world.trust(a, b)
    return world, a, b


def _connect(world: World, a: Node, b: Node, known: SignedRecord | None = None) -> None:
    """`known`: the record that a has of b; its present one unless given."""
    a.handshaker.connect(known or b.own, b.endpoints, world.now)
    world.drain(a)
