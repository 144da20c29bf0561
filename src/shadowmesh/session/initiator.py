"""One attempt to reach one peer: M1 to all its endpoints, M3 to the one that answers. Spec: docs/spec/session.md."""

from __future__ import annotations

import hmac
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from shadowmesh.identity.keys import BadSignature
from shadowmesh.session import keys
from shadowmesh.session.amplification import AddressBudget
from shadowmesh.session.cookie_jar import CookieJar
from shadowmesh.session.cookie_reply import CookieReply
from shadowmesh.session.drops import Dropped
from shadowmesh.session.events import DropReason, FailureReason, PeerAuthenticated, Role, SessionEstablished
from shadowmesh.session.fragments import CutMessage, MissingRequest, cut
from shadowmesh.session.kem import KEM_SEED_BYTES, DecapsulationKey
from shadowmesh.session.keys import FinalKeys, Side
from shadowmesh.session.limits import (
    GIVE_UP_S,
    MAX_COOKIES_AN_ENDPOINT,
    MAX_ENDPOINTS,
    MAX_REPAIR_ANSWERS,
    MAX_RETRANSMIT_S,
    PAUSE_AFTER_INSISTING_S,
    RETRANSMISSIONS_WITHOUT_RECORD,
    RETRANSMIT_JITTER,
    RETRANSMIT_S,
    YIELD_AFTER_S,
)
from shadowmesh.session.macs import GateKeys, MacWriter, macs_of
from shadowmesh.session.messages import (
    M2_HEAD_BYTES,
    NONCE_BYTES,
    WITH_RECORD,
    WITHOUT_RECORD,
    Claim,
    Finished,
    InitiatorProof,
    Message1,
    Message2Head,
    ResponderProof,
)
from shadowmesh.session.own_side import OwnSide
from shadowmesh.session.peers import AllowedPeer
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy, jitter
from shadowmesh.wire.transmit import Transmit


@dataclass(slots=True)
class _AwaitingMessage2:
    decapsulation_key: DecapsulationKey = field(repr=False)
    h1: bytes
    message1: bytes
    flights: dict[Endpoint, CutMessage] = field(default_factory=dict)  # of M1, as last sent
    sent_at: dict[Endpoint, float] = field(default_factory=dict)
    cookies_taken: Counter[Endpoint] = field(default_factory=Counter)


@dataclass(slots=True)
class _AwaitingMessage4:
    final: FinalKeys = field(repr=False)
    h4: bytes
    wireguard_key: bytes  # the peer's
    endpoint: Endpoint
    forms: list[CutMessage]  # of M3: the one to send now, then the one to turn to
    record_id: bytes  # of our own record that M3 names
    round_trip_s: float  # from the last M1 to M2
    sent_at: float = 0.0  # anything of M3, last
    has_insisted: bool = False


class Attempt:
    """Methods return what to send; what is refused raises Dropped or DecodeError, and the attempt goes on."""

    def __init__(
        self, own: OwnSide, peer: AllowedPeer, cid: bytes, cookies: CookieJar, entropy: Entropy, now: float
    ) -> None:
        self.peer = peer
        self.cid = cid
        self.endpoints: list[Endpoint] = []
        self._unasked = AddressBudget()  # for the addresses of answers that are none of these
        if peer.record is None:
            raise ValueError("an attempt needs the record of the peer")
        self._own = own
        self._public = peer.record.record.public
        self._gate_keys = GateKeys.of(self._public)
        self._cookies = cookies
        self._entropy = entropy
        self._began_at = now
        self._wrong_signatures = 0
        self._retransmissions = 0
        self._repairs = 0
        self._interval_s = RETRANSMIT_S
        self._resend_at = now + self._interval_s * self._spread()
        self._state: _AwaitingMessage2 | _AwaitingMessage4 = self._begin()

    @property
    def message2_verified(self) -> bool:
        return isinstance(self._state, _AwaitingMessage4)

    @property
    def gives_up_at(self) -> float:
        return self._began_at + GIVE_UP_S

    @property
    def next_timeout(self) -> float:
        return min(self._resend_at, self.gives_up_at)

    @property
    def failure(self) -> FailureReason:
        """Why it came to nothing, once its time is over."""
        if self._wrong_signatures and not self.message2_verified:
            return FailureReason.WRONG_KEY
        return FailureReason.TIMEOUT

    def add_endpoints(self, endpoints: Sequence[Endpoint], now: float) -> list[Transmit]:
        """M1 for those that are new, as far as there is room for eight."""
        new = [endpoint for endpoint in dict.fromkeys(endpoints) if endpoint not in self.endpoints]
        new = new[: MAX_ENDPOINTS - len(self.endpoints)]
        self.endpoints += new
        if isinstance(self._state, _AwaitingMessage4):
            return []
        return [transmit for endpoint in new for transmit in self._message1(self._state, endpoint, now)]

    def path_found(self, endpoint: Endpoint, probed_at: float, now: float) -> list[Transmit]:
        """A probe of `probed_at` was answered there: M1 at once, unless it went the same way after it."""
        self.endpoints = [endpoint, *(other for other in self.endpoints if other != endpoint)][:MAX_ENDPOINTS]
        state = self._state
        if isinstance(state, _AwaitingMessage4) or state.sent_at.get(endpoint, -math.inf) >= probed_at:
            return []
        return self._message1(state, endpoint, now)

    def retransmit(self, now: float) -> list[Transmit]:
        """The whole flight again. Call when `next_timeout` is reached and it isn't time to give up."""
        if now < self._resend_at:
            return []
        self._interval_s = min(2 * self._interval_s, MAX_RETRANSMIT_S)
        self._resend_at = now + self._interval_s * self._spread()
        self._repairs = 0
        if isinstance(self._state, _AwaitingMessage2):
            state = self._state
            return [transmit for endpoint in self.endpoints for transmit in self._message1(state, endpoint, now)]
        self._retransmissions += 1
        if self._retransmissions > RETRANSMISSIONS_WITHOUT_RECORD:
            del self._state.forms[:-1]
        return self._message3(self._state, now)

    def has_been_ignored(self, now: float) -> bool:
        """Whether whatever we sent of M3 is neither answered nor on its way: the peer does not take it."""
        return isinstance(self._state, _AwaitingMessage4) and now > self._state.sent_at + YIELD_AFTER_S

    def insist(self, now: float) -> list[Transmit]:
        """M3 again, once: the peer is there, and begins itself. Not while the last one may still be answered."""
        state = self._state
        if not isinstance(state, _AwaitingMessage4) or state.has_insisted or now <= state.sent_at + state.round_trip_s:
            return []
        state.has_insisted = True
        self._resend_at = now + PAUSE_AFTER_INSISTING_S
        return self._message3(state, now)

    def receive_cookie(self, reply: CookieReply, source: Endpoint, now: float) -> list[Transmit]:
        """M1 again, at once, with the cookie: for a genuine answer to the M1 that this address was last sent."""
        state = self._state
        if not isinstance(state, _AwaitingMessage2):
            raise Dropped(DropReason.REPLAYED)
        sent = state.flights.get(source)
        if sent is None:
            raise Dropped(DropReason.UNKNOWN_CONNECTION)
        if reply.message_id != sent.flight.message_id or state.cookies_taken[source] >= MAX_COOKIES_AN_ENDPOINT:
            raise Dropped(DropReason.REPLAYED)
        cookie = reply.open(self._gate_keys, macs_of(sent.datagrams[0]))
        state.cookies_taken[source] += 1
        self._cookies.put(self.peer.peer_id, source, cookie, now)
        return self._message1(state, source, now)

    def receive_message2(
        self, message: bytes, source: Endpoint, now: float
    ) -> tuple[list[Transmit], PeerAuthenticated]:
        """M3 for the first M2 that verifies."""
        if not isinstance(self._state, _AwaitingMessage2):
            raise Dropped(DropReason.REPLAYED)
        encoded_head, sealed = message[:M2_HEAD_BYTES], message[M2_HEAD_BYTES:]
        head = Message2Head.decode(encoded_head)
        shared_secret = self._state.decapsulation_key.decapsulate(head.ciphertext)
        h2 = keys.extend(self._state.h1, encoded_head)
        proof = ResponderProof.decode(keys.open_sealed(keys.key2(shared_secret, h2), h2, sealed))
        self._verify(proof, h2)
        h3 = keys.extend(h2, sealed)
        round_trip_s = now - self._state.sent_at.get(source, self._began_at)
        state = self._answer(head.cid, shared_secret, h3, proof.claim, source, round_trip_s)
        self._state = state
        self._retransmissions = 0
        self._repairs = 0
        self._interval_s = RETRANSMIT_S
        self._resend_at = now + self._interval_s * self._spread()
        authenticated = PeerAuthenticated(
            self.peer.peer_id, state.wireguard_key, source, state.final.psk, state.final.cipher
        )
        return self._message3(state, now), authenticated

    def receive_message4(self, message: bytes, now: float) -> SessionEstablished:
        """Ends the attempt."""
        state = self._state
        if not isinstance(state, _AwaitingMessage4) or self.peer.record is None:
            raise Dropped(DropReason.UNDECRYPTABLE)
        finished = Finished.decode(keys.open_sealed(state.final.key4, state.h4, message))
        if not hmac.compare_digest(finished.mac, state.final.finished) or finished.psk_epoch != keys.PSK_EPOCH:
            raise Dropped(DropReason.UNDECRYPTABLE)
        self.peer.informed_of = state.record_id
        return SessionEstablished(
            peer=self.peer.peer_id,
            role=Role.INITIATOR,
            record=self.peer.record,
            wireguard_key=state.wireguard_key,
            endpoint=state.endpoint,
            psk=state.final.psk,
            probe_key=state.final.probe_key,
            cipher=state.final.cipher,
            took_s=now - self._began_at,
        )

    def credit(self, source: Endpoint, received_bytes: int) -> None:
        """Something of this attempt came from there, or was made to look so."""
        if source not in self.endpoints:
            self._unasked.credit(source, received_bytes)

    def ask(self, request: MissingRequest, source: Endpoint) -> list[Transmit]:
        """For the missing fragments of M2, where the others came from."""
        return self._answers(source, [request.encode(padded=True)])

    def resend(self, request: MissingRequest, now: float) -> list[Transmit]:
        """The fragments of M3 that were asked for: to the address that proved itself, whoever asks."""
        state = self._state
        if not isinstance(state, _AwaitingMessage4):
            raise Dropped(DropReason.UNKNOWN_CONNECTION)
        for form in state.forms:
            if request.asks_for(form.flight):
                self._repairs += 1
                if self._repairs > MAX_REPAIR_ANSWERS:
                    return []
                state.sent_at = now
                return self._answers(state.endpoint, form.pick(request.missing))
        raise Dropped(DropReason.UNKNOWN_CONNECTION)

    def _begin(self) -> _AwaitingMessage2:
        nonce = self._entropy(NONCE_BYTES)
        decapsulation_key = DecapsulationKey(self._entropy(KEM_SEED_BYTES))
        message = Message1(self.cid, nonce, decapsulation_key.encapsulation_key, keys.SUITE).encode()
        return _AwaitingMessage2(decapsulation_key, keys.transcript1(self.peer.fingerprint, message), message)

    def _message1(self, state: _AwaitingMessage2, endpoint: Endpoint, now: float) -> list[Transmit]:
        """With the cookie that we hold for this endpoint, if any."""
        macs = MacWriter(self._gate_keys.mac1, self._cookies.get(self.peer.peer_id, endpoint, now))
        state.flights[endpoint] = cut(Message1.NUMBER, self.cid, state.message1, macs)
        state.sent_at[endpoint] = now
        return [Transmit(datagram, endpoint) for datagram in state.flights[endpoint].datagrams]

    def _message3(self, state: _AwaitingMessage4, now: float) -> list[Transmit]:
        state.sent_at = now
        return self._answers(state.endpoint, state.forms[0].datagrams)

    def _answers(self, destination: Endpoint, datagrams: Sequence[bytes]) -> list[Transmit]:
        """An address that M1 was not sent to may be a forged one: it gets three times what came from there."""
        is_asked = destination in self.endpoints
        return [
            Transmit(datagram, destination)
            for datagram in datagrams
            if is_asked or self._unasked.spend(destination, len(datagram))
        ]

    def _verify(self, proof: ResponderProof, h2: bytes) -> None:
        statement = keys.responder_statement(h2, self.peer.fingerprint, proof.claim)
        try:
            self._public.verify(proof.signature, statement, context=keys.RESPONDER_CONTEXT)
        except BadSignature:
            self._wrong_signatures += 1
            raise Dropped(DropReason.BAD_SIGNATURE) from None
        self.peer.check_claim(proof.claim)

    def _answer(
        self, cid: bytes, shared_secret: bytes, h3: bytes, claim: Claim, source: Endpoint, round_trip_s: float
    ) -> _AwaitingMessage4:
        own = self._own
        statement = keys.initiator_statement(
            h3, own.identity.fingerprint, self.peer.fingerprint, own.claim, claim.wireguard_key
        )
        signature = own.identity.sign(statement, context=keys.INITIATOR_CONTEXT)
        bare = InitiatorProof(own.identity.peer_id, own.claim, signature)
        full = InitiatorProof(own.identity.peer_id, own.claim, signature, own.record.encoded)
        forms = [_seal_message3(cid, shared_secret, h3, WITH_RECORD, full)]
        if self.peer.informed_of == own.record.record_id:
            forms.insert(0, _seal_message3(cid, shared_secret, h3, WITHOUT_RECORD, bare))
        h4 = keys.extend(h3, bare.core)
        final = FinalKeys.derive(shared_secret, h4, own.side, Side(self.peer.fingerprint, claim))
        return _AwaitingMessage4(final, h4, claim.wireguard_key, source, forms, own.record.record_id, round_trip_s)

    def _spread(self) -> float:
        return jitter(self._entropy, 1.0, 1.0 + RETRANSMIT_JITTER)


def _seal_message3(cid: bytes, shared_secret: bytes, h3: bytes, form: int, proof: InitiatorProof) -> CutMessage:
    sealed = keys.seal(keys.key3(shared_secret, h3, form), h3, proof.encode())
    return cut(3, cid, bytes([form]) + sealed)
