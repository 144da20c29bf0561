"""The responder's side of every handshake. Spec: docs/spec/session.md, section 6.

The engine has refused what comes from who does not know our public key, or shows no cookie where one is asked for
(section 6.3). Who is not allowed learns nothing after M2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shadowmesh.identity.keys import BadSignature, PublicIdentity
from shadowmesh.identity.names import PeerID
from shadowmesh.records.peer_record import RecordRefused, SignedRecord
from shadowmesh.session import keys
from shadowmesh.session.completed import CompletedTable
from shadowmesh.session.drops import Dropped
from shadowmesh.session.events import DropReason, Role, SessionEstablished
from shadowmesh.session.fragments import CID_BYTES, Flight, MissingRequest, cut
from shadowmesh.session.half_open import HalfOpen, HalfOpenTable, RefusedMessage3
from shadowmesh.session.kem import encapsulate
from shadowmesh.session.keys import FinalKeys, Side
from shadowmesh.session.limits import LOAD_HALF_OPEN
from shadowmesh.session.messages import (
    NONCE_BYTES,
    Claim,
    Finished,
    InitiatorProof,
    Message1,
    Message2Head,
    ResponderProof,
    split_message3,
)
from shadowmesh.session.own_side import OwnSide
from shadowmesh.session.peers import AllowedPeer, AllowedPeers
from shadowmesh.session.source_prefix import source_prefix
from shadowmesh.wire.clock import WallClock
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit


@dataclass(frozen=True, slots=True)
class OpenedMessage3:
    """An M3 that decrypts and names an allowed peer; its signature is still to be verified."""

    half_open: HalfOpen
    proof: InitiatorProof
    peer: AllowedPeer
    source: Endpoint
    came_at: float


class Responder:
    """Methods return what to send; what is refused raises Dropped or DecodeError."""

    def __init__(
        self, own: OwnSide, peers: AllowedPeers, *, entropy: Entropy, wall_clock: WallClock, ids: OpenIds
    ) -> None:
        self._own = own
        self._peers = peers
        self._entropy = entropy
        self._wall_clock = wall_clock
        self._half_open = HalfOpenTable(ids)
        self._completed = CompletedTable(ids)
        self._step = 0

    @property
    def evictions(self) -> int:
        return self._half_open.evictions

    @property
    def is_busy(self) -> bool:
        """So many handshakes are under way that a new one must show its address first."""
        return len(self._half_open) >= LOAD_HALF_OPEN

    def receive_message1(self, message: bytes, flight: Flight, source: Endpoint, now: float) -> list[Transmit]:
        """M2 as far as the budget of this address allows; for a repeated M1 the same M2."""
        message1 = Message1.decode(message)
        if message1.cid != flight.cid or message1.suite != keys.SUITE:
            raise DecodeError("M1: another cid in the header, or an unknown suite")
        h1 = keys.transcript1(self._own.identity.fingerprint, message)
        half_open = self._half_open.for_message1(h1)
        if half_open is None:
            if self._half_open.used(h1, now):
                raise Dropped(DropReason.REPLAYED)
            half_open = self._open(message1, h1, source, now)
        half_open.budget.credit(source, flight.wire_bytes)
        return _within_budget(half_open, half_open.message2.datagrams, source)

    def resend(self, request: MissingRequest, received_bytes: int, source: Endpoint) -> list[Transmit]:
        """The fragments of M2 that were asked for, within the budget."""
        half_open = self._half_open.with_flight(request.flight)
        if half_open is None:
            raise Dropped(DropReason.UNKNOWN_CONNECTION)
        half_open.budget.credit(source, received_bytes)
        return _within_budget(half_open, half_open.message2.pick(request.missing), source)

    def expects_message3(self, cid: bytes) -> bool:
        return self._half_open.with_cid(cid) is not None

    def credit(self, cid: bytes, received_bytes: int, source: Endpoint) -> None:
        """For a fragment of M3: it pays for the request of those that are missing."""
        if (half_open := self._half_open.with_cid(cid)) is not None:
            half_open.budget.credit(source, received_bytes)

    def ask(self, request: MissingRequest, source: Endpoint) -> list[Transmit]:
        """Asks the initiator for the missing fragments of its M3, within the budget."""
        half_open = self._half_open.with_cid(request.flight.cid)
        if half_open is None:
            return []
        addressed = replace(request, flight=replace(request.flight, cid=half_open.initiator_cid))
        return _within_budget(half_open, [addressed.encode(padded=False)], source)

    def open_message3(self, cid: bytes, message: bytes, source: Endpoint, now: float) -> OpenedMessage3:
        """Everything that is cheap. The handshake stays open for an initiator whom the owner trusts in a moment."""
        half_open = self._half_open.with_cid(cid)
        if half_open is None:
            raise Dropped(DropReason.UNKNOWN_CONNECTION)
        form, sealed = split_message3(message)
        key = keys.key3(half_open.shared_secret, half_open.h3, form)
        proof = InitiatorProof.decode(keys.open_sealed(key, half_open.h3, sealed))
        peer = self._peers.get(proof.peer)
        if peer is None:
            half_open.refused = RefusedMessage3(proof, source, now)
            raise Dropped(DropReason.UNTRUSTED)
        return OpenedMessage3(half_open, proof, peer, source, now)

    def open_refused(self, peer_id: PeerID, now: float) -> OpenedMessage3 | None:
        """The last M3 that was refused to a peer which is allowed now, if it still waits for the answer."""
        peer, half_open = self._peers.get(peer_id), self._half_open.with_refused(peer_id, now)
        if peer is None or half_open is None or half_open.refused is None:
            return None
        refused = half_open.refused
        return OpenedMessage3(half_open, refused.proof, peer, refused.source, refused.came_at)

    def is_outdated(self, opened: OpenedMessage3) -> bool:
        """Whether it began before the last session with this peer: a late M3 must not undo that one."""
        return opened.half_open.began_at_step < opened.peer.settled_at_step

    def refuse(self, opened: OpenedMessage3, now: float) -> None:
        self._half_open.close(opened.half_open, now)

    def accept(self, opened: OpenedMessage3, now: float) -> tuple[list[Transmit], SessionEstablished]:
        """Verifies the initiator's proof and answers with M4."""
        half_open, proof, peer = opened.half_open, opened.proof, opened.peer
        record = self._verify(opened, now)
        h4 = keys.extend(half_open.h3, proof.core)
        final = FinalKeys.derive(half_open.shared_secret, h4, Side(peer.fingerprint, proof.claim), half_open.own)
        finished = keys.seal(final.key4, h4, Finished(final.finished, keys.PSK_EPOCH).encode())
        (datagram,) = cut(4, half_open.initiator_cid, finished).datagrams
        self._half_open.close(half_open, now)
        self._completed.add(half_open.cid, peer.peer_id, datagram, now)
        established = SessionEstablished(
            peer=peer.peer_id,
            role=Role.RESPONDER,
            record=record,
            wireguard_key=proof.claim.wireguard_key,
            endpoint=opened.source,
            psk=final.psk,
            probe_key=final.probe_key,
            cipher=final.cipher,
            took_s=opened.came_at - half_open.began_at,
        )
        return [Transmit(datagram, opened.source)], established

    def has_completed(self, cid: bytes) -> bool:
        return cid in self._completed

    def repeat_message4(self, cid: bytes, received_bytes: int, source: Endpoint, now: float) -> list[Transmit]:
        return self._completed.repeat(cid, received_bytes, source, now)

    def settle(self, peer: AllowedPeer, half_open: HalfOpen | None = None) -> None:
        """A session with this peer is established, by that handshake or by one of ours: those that began before that,
        or before now, are outdated."""
        self._step += 1
        peer.settled_at_step = self._step if half_open is None else half_open.began_at_step

    def forget(self, peer: PeerID) -> None:
        self._completed.forget(peer)

    def expire(self, now: float) -> None:
        self._half_open.expire(now)
        self._completed.expire(now)

    def next_timeout(self) -> float:
        """Infinite when nothing is held."""
        return min(self._half_open.next_timeout(), self._completed.next_timeout())

    def _open(self, message1: Message1, h1: bytes, source: Endpoint, now: float) -> HalfOpen:
        shared_secret, ciphertext = encapsulate(message1.encapsulation_key)
        own = self._own
        self._step += 1
        head = Message2Head(self._entropy(CID_BYTES), self._entropy(NONCE_BYTES), ciphertext)
        h2 = keys.extend(h1, head.encode())
        statement = keys.responder_statement(h2, own.identity.fingerprint, own.claim)
        proof = ResponderProof(own.claim, own.identity.sign(statement, context=keys.RESPONDER_CONTEXT))
        sealed = keys.seal(keys.key2(shared_secret, h2), h2, proof.encode())
        half_open = HalfOpen(
            h1=h1,
            cid=head.cid,
            initiator_cid=message1.cid,
            prefix=source_prefix(source),
            began_at=now,
            began_at_step=self._step,
            own=own.side,
            shared_secret=shared_secret,
            h3=keys.extend(h2, sealed),
            message2=cut(2, message1.cid, head.encode() + sealed),
        )
        self._half_open.add(half_open)
        return half_open

    def _verify(self, opened: OpenedMessage3, now: float) -> SignedRecord:
        """The newest record of the peer, when all of its proof is good. Raises Dropped, DecodeError."""
        half_open, proof, peer = opened.half_open, opened.proof, opened.peer
        public, sent = _signer(proof, peer)
        statement = keys.initiator_statement(
            half_open.h3, peer.fingerprint, half_open.own.fingerprint, proof.claim, half_open.own.claim.wireguard_key
        )
        try:
            public.verify(proof.signature, statement, context=keys.INITIATOR_CONTEXT)
        except BadSignature:
            self._half_open.close(half_open, now)
            raise Dropped(DropReason.BAD_SIGNATURE) from None
        if sent is not None and (peer.record is None or sent.record.sequence > peer.record.record.sequence):
            try:
                sent.accept(peer.peer_id, now=self._wall_clock(), known=peer.record)
            except RecordRefused:
                raise Dropped(DropReason.RECORD_REFUSED) from None
            peer.learn(sent)
        peer.check_claim(proof.claim)
        if peer.record is None:
            raise Dropped(DropReason.NO_RECORD)
        return peer.record


def _signer(proof: InitiatorProof, peer: AllowedPeer) -> tuple[PublicIdentity, SignedRecord | None]:
    """Whose signature it has to be, and the record that came along."""
    if not proof.record:
        if peer.public is None:
            raise Dropped(DropReason.NO_RECORD)
        return peer.public, None
    held = peer.record
    sent = held if held is not None and held.encoded == proof.record else SignedRecord.decode(proof.record)
    if sent.record.public.fingerprint != peer.fingerprint or Claim.of(sent) != proof.claim:
        raise Dropped(DropReason.RECORD_REFUSED)
    return sent.record.public, sent


def _within_budget(half_open: HalfOpen, datagrams: Sequence[bytes], destination: Endpoint) -> list[Transmit]:
    return [
        Transmit(datagram, destination) for datagram in datagrams if half_open.budget.spend(destination, len(datagram))
    ]
