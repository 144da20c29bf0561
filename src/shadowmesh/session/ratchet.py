"""A fresh PSK every two minutes of traffic, for one established session. Spec: docs/spec/session.md, section 11.

The initiator of the session drives: it offers, confirms, and repeats until it is answered. The responder only
answers. The responder changes first, and the initiator when it knows that; no loss leaves them without a common PSK.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from shadowmesh.session.drops import Dropped
from shadowmesh.session.events import DropReason, Role
from shadowmesh.session.fragments import CutMessage, Flight, Fragment, cut
from shadowmesh.session.kem import KEM_SEED_BYTES, DecapsulationKey, encapsulate
from shadowmesh.session.limits import (
    MAX_RATCHET_REASSEMBLIES,
    MAX_RATCHET_RESEND_S,
    RATCHET_INTERVAL_S,
    RATCHET_REPEAT_S,
    RATCHET_RESEND_S,
    RETRANSMIT_JITTER,
)
from shadowmesh.session.ratchet_messages import (
    RatchetMessage,
    RatchetStep,
    check_ratchet_length,
    next_psk,
    ratchet_cid,
)
from shadowmesh.session.reassembly import Reassembler
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy, jitter
from shadowmesh.wire.errors import DecodeError


@dataclass(frozen=True, slots=True)
class PskChanged:
    """To be installed now. The one before serves until WireGuard's first handshake with the new one."""

    psk: bytes = field(repr=False)
    epoch: int


RatchetOutput = bytes | PskChanged
"""Bytes are one datagram for the session's path."""


@dataclass(slots=True)
class _Offered:
    """The initiator waits for the answer."""

    decapsulation_key: DecapsulationKey = field(repr=False)
    message: CutMessage


@dataclass(slots=True)
class _Confirming:
    """The initiator knows the next PSK and waits until the responder has changed."""

    psk: bytes = field(repr=False)
    message: CutMessage


@dataclass(slots=True)
class _Answered:
    """The responder knows the next PSK and waits until the initiator has shown that it knows it too."""

    psk: bytes = field(repr=False)
    offer_id: bytes
    message: CutMessage
    repeat_from: float


@dataclass(slots=True)
class _Done:
    """The responder has changed; it says so as often as it is asked."""

    confirm_id: bytes
    message: CutMessage
    repeat_from: float


class Ratchet:
    """After each call: drain `poll()`, then read `next_timeout()`."""

    def __init__(self, role: Role, psk: bytes, *, entropy: Entropy, now: float) -> None:
        """`psk`: of the session that has just been established."""
        self._role = role
        self._psk = psk
        self._epoch = 0
        self._entropy = entropy
        self.cid = ratchet_cid(psk)
        self._state: _Offered | _Confirming | _Answered | None = None
        self._done: _Done | None = None
        self._reassembler = Reassembler(
            max_buffers=MAX_RATCHET_REASSEMBLIES, max_a_group=MAX_RATCHET_REASSEMBLIES, asks=False
        )
        self._active_until = -math.inf
        self._due_at = now + RATCHET_INTERVAL_S  # to begin, or to send again
        self._interval_s = RATCHET_RESEND_S
        self._drops: Counter[DropReason] = Counter()
        self._out: deque[RatchetOutput] = deque()

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def drops(self) -> Mapping[DropReason, int]:
        return self._drops

    def traffic(self, now: float) -> None:
        """Packets have passed, either way. Without this no exchange begins."""
        self._active_until = now + RATCHET_INTERVAL_S
        self.handle_timeout(now)

    def receive_datagram(self, data: bytes, source: Endpoint, now: float) -> None:
        """Never raises; see `drops`."""
        try:
            fragment = Fragment.decode(data)
            step = self._expected(fragment.flight)
            message = self._reassembler.add(fragment, source, self.cid, now)
            if message is not None:
                self._receive(RatchetMessage.decode(step, message), fragment.flight, now)
        except DecodeError:
            self._drops[DropReason.MALFORMED] += 1
        except Dropped as dropped:
            self._drops[dropped.reason] += 1

    def handle_timeout(self, now: float) -> None:
        self._reassembler.expire(now)
        due_at = self._next_send()
        if now < due_at or due_at == math.inf:
            return
        if isinstance(self._state, _Offered | _Confirming):
            self._out += self._state.message.datagrams
            self._interval_s = min(2 * self._interval_s, MAX_RATCHET_RESEND_S)
            self._wait(now)
        else:
            self._offer(now)

    def next_timeout(self) -> float | None:
        when = min(self._next_send(), self._reassembler.next_timeout())
        return None if when == math.inf else when

    def poll(self) -> RatchetOutput | None:
        return self._out.popleft() if self._out else None

    def _next_send(self) -> float:
        """Infinite while nothing passes: an idle session begins nothing, and repeats no offer.

        A confirmation is repeated all the same: the responder may have changed, and a WireGuard session that
        expires in the meantime takes the PSK before with it.
        """
        if self._role is Role.RESPONDER:
            return math.inf
        wanted = isinstance(self._state, _Confirming) or self._due_at <= self._active_until
        return self._due_at if wanted else math.inf

    def _expected(self, flight: Flight) -> RatchetStep:
        """Refuses what this side does not wait for before a byte is kept, so also what is reflected to its sender."""
        if flight.cid != self.cid:
            raise Dropped(DropReason.UNKNOWN_CONNECTION)
        match self._role, flight.message, self._state:
            case (Role.INITIATOR, RatchetStep.ANSWER, _Offered()):
                step = RatchetStep.ANSWER
            case (Role.INITIATOR, RatchetStep.DONE, _Confirming()):
                step = RatchetStep.DONE
            case (Role.RESPONDER, RatchetStep.OFFER, _):
                step = RatchetStep.OFFER
            case (Role.RESPONDER, RatchetStep.CONFIRM, _):
                step = RatchetStep.CONFIRM
            case _:
                raise Dropped(DropReason.REPLAYED)
        check_ratchet_length(step, flight.length)
        return step

    def _receive(self, message: RatchetMessage, flight: Flight, now: float) -> None:
        match message.step:
            case RatchetStep.OFFER:
                self._receive_offer(message, flight.message_id, now)
            case RatchetStep.ANSWER:
                self._receive_answer(message, now)
            case RatchetStep.CONFIRM:
                self._receive_confirm(message, flight.message_id, now)
            case RatchetStep.DONE:
                self._receive_done(message, now)

    # The initiator.

    def _offer(self, now: float) -> None:
        key = DecapsulationKey(self._entropy(KEM_SEED_BYTES))
        message = RatchetMessage.seal(RatchetStep.OFFER, self._epoch, self._psk, self.cid, key.encapsulation_key)
        self._state = _Offered(key, self._cut(message))
        self._send_first(self._state.message, now)

    def _receive_answer(self, message: RatchetMessage, now: float) -> None:
        state = self._state
        if not isinstance(state, _Offered) or message.epoch != self._epoch:
            raise Dropped(DropReason.REPLAYED)
        ciphertext = message.open(self._psk, self.cid)
        key = state.decapsulation_key
        shared_secret = key.decapsulate(ciphertext)
        psk = next_psk(self._psk, shared_secret, self._epoch + 1, key.encapsulation_key, ciphertext)
        confirm = RatchetMessage.seal(RatchetStep.CONFIRM, self._epoch + 1, psk, self.cid)
        self._state = _Confirming(psk, self._cut(confirm))
        self._send_first(self._state.message, now)

    def _receive_done(self, message: RatchetMessage, now: float) -> None:
        state = self._state
        if not isinstance(state, _Confirming) or message.epoch != self._epoch + 1:
            raise Dropped(DropReason.REPLAYED)
        message.open(state.psk, self.cid)
        self._change(state.psk)
        self._due_at = now + RATCHET_INTERVAL_S

    def _send_first(self, message: CutMessage, now: float) -> None:
        self._out += message.datagrams
        self._interval_s = RATCHET_RESEND_S
        self._wait(now)

    def _wait(self, now: float) -> None:
        self._due_at = now + self._interval_s * jitter(self._entropy, 1.0, 1.0 + RETRANSMIT_JITTER)

    # The responder.

    def _receive_offer(self, message: RatchetMessage, message_id: bytes, now: float) -> None:
        state = self._state
        if isinstance(state, _Answered):
            if message_id != state.offer_id:
                raise Dropped(DropReason.REPLAYED)
            self._repeat(state, now)
            return
        if message.epoch != self._epoch:
            raise Dropped(DropReason.REPLAYED)
        encapsulation_key = message.open(self._psk, self.cid)
        shared_secret, ciphertext = encapsulate(encapsulation_key)
        psk = next_psk(self._psk, shared_secret, self._epoch + 1, encapsulation_key, ciphertext)
        answer = RatchetMessage.seal(RatchetStep.ANSWER, self._epoch, self._psk, self.cid, ciphertext)
        self._state = _Answered(psk, message_id, self._cut(answer), now + RATCHET_REPEAT_S)
        self._out += self._state.message.datagrams

    def _receive_confirm(self, message: RatchetMessage, message_id: bytes, now: float) -> None:
        if self._done is not None and message_id == self._done.confirm_id:
            self._repeat(self._done, now)
            return
        state = self._state
        if not isinstance(state, _Answered) or message.epoch != self._epoch + 1:
            raise Dropped(DropReason.REPLAYED)
        message.open(state.psk, self.cid)
        self._change(state.psk)
        done = RatchetMessage.seal(RatchetStep.DONE, self._epoch, self._psk, self.cid)
        self._done = _Done(message_id, self._cut(done), now + RATCHET_REPEAT_S)
        self._out += self._done.message.datagrams

    def _repeat(self, state: _Answered | _Done, now: float) -> None:
        """The same again, for a message that came again; a flood of replays gets one answer each half second."""
        if now < state.repeat_from:
            raise Dropped(DropReason.REPLAYED)
        state.repeat_from = now + RATCHET_REPEAT_S
        self._out += state.message.datagrams

    def _change(self, psk: bytes) -> None:
        """The PSK before is forgotten here; the engine keeps it until the new one has carried a handshake."""
        self._psk = psk
        self._epoch += 1
        self._state = None
        self._out.append(PskChanged(psk, self._epoch))

    def _cut(self, message: RatchetMessage) -> CutMessage:
        return cut(message.step, self.cid, message.encode())
