"""Handshakes that wait for M3, in bounded memory. Spec: docs/spec/session.md, section 6."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from shadowmesh.identity.names import PeerID
from shadowmesh.session.amplification import AddressBudget
from shadowmesh.session.fragments import CutMessage, Flight
from shadowmesh.session.keys import Side
from shadowmesh.session.limits import (
    HALF_OPEN_S,
    MAX_HALF_OPEN,
    MAX_HALF_OPEN_A_PREFIX,
    MAX_USED,
    REFUSED_S,
    USED_S,
)
from shadowmesh.session.messages import InitiatorProof
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import IdTable, OpenIds


@dataclass(frozen=True, slots=True)
class RefusedMessage3:
    """Of a peer that was not allowed when it came. Its signature is still to be verified."""

    proof: InitiatorProof = field(repr=False)
    source: Endpoint
    came_at: float


@dataclass(slots=True)
class HalfOpen:
    """What a responder keeps between M2 and M3."""

    h1: bytes  # names the M1 that it answers
    cid: bytes  # ours
    initiator_cid: bytes
    prefix: bytes  # of the source that began it
    began_at: float
    began_at_step: int
    own: Side  # as M2 claimed it
    shared_secret: bytes = field(repr=False)
    h3: bytes
    message2: CutMessage
    budget: AddressBudget = field(default_factory=AddressBudget)
    refused: RefusedMessage3 | None = None  # the last one

    @property
    def expires_at(self) -> float:
        return self.began_at + HALF_OPEN_S


class HalfOpenTable:
    """When it is full the oldest makes room, first of the same prefix: a flood shortens everybody's time, no more."""

    def __init__(self, ids: OpenIds) -> None:
        self._ids = ids
        self._by_cid: IdTable[HalfOpen] = IdTable(ids)  # oldest first
        self._by_h1: dict[bytes, HalfOpen] = {}  # oldest first
        self._by_flight: dict[Flight, HalfOpen] = {}
        self._used: dict[bytes, float] = {}  # h1 of handshakes that are over, and until when; oldest first
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._by_cid)

    def with_cid(self, cid: bytes) -> HalfOpen | None:
        return self._by_cid.get(cid)

    def for_message1(self, h1: bytes) -> HalfOpen | None:
        return self._by_h1.get(h1)

    def with_flight(self, flight: Flight) -> HalfOpen | None:
        """The one whose M2 this is."""
        return self._by_flight.get(flight)

    def with_refused(self, peer: PeerID, now: float) -> HalfOpen | None:
        """The last one whose M3 was refused to this peer, if the peer still waits for an answer."""
        for half_open in reversed(self._by_h1.values()):
            refused = half_open.refused
            if refused is not None and refused.proof.peer == peer:
                return half_open if now <= refused.came_at + REFUSED_S else None
        return None

    def used(self, h1: bytes, now: float) -> bool:
        """Whether this M1 had its handshake within the last five minutes."""
        return self._used.get(h1, -math.inf) > now

    def add(self, half_open: HalfOpen) -> None:
        neighbours = [other for other in self._by_cid.values() if other.prefix == half_open.prefix]
        if len(neighbours) >= MAX_HALF_OPEN_A_PREFIX:
            self._evict(neighbours[0])
        elif len(self._by_cid) >= MAX_HALF_OPEN:
            self._evict(next(iter(self._by_cid.values())))
        self._ids.open(half_open.initiator_cid)  # of requests for fragments of M2
        self._by_cid[half_open.cid] = half_open
        self._by_h1[half_open.h1] = half_open
        self._by_flight[half_open.message2.flight] = half_open

    def close(self, half_open: HalfOpen, now: float) -> None:
        """It is over, one way or another: its M1 starts no other."""
        self._remove(half_open)
        self._used.pop(half_open.h1, None)
        while self._used and (len(self._used) >= MAX_USED or next(iter(self._used.values())) <= now):
            del self._used[next(iter(self._used))]
        self._used[half_open.h1] = now + USED_S

    def expire(self, now: float) -> None:
        while self._by_cid and (oldest := next(iter(self._by_cid.values()))).expires_at <= now:
            self.close(oldest, now)

    def next_timeout(self) -> float:
        """Infinite when there is none."""
        return next(iter(self._by_cid.values())).expires_at if self._by_cid else math.inf

    def _evict(self, half_open: HalfOpen) -> None:
        # Its M1 is not marked as used: the initiator's retransmission may begin anew.
        self._remove(half_open)
        self.evictions += 1

    def _remove(self, half_open: HalfOpen) -> None:
        if self._by_cid.pop(half_open.cid, None) is None:
            return
        self._ids.close(half_open.initiator_cid)
        self._by_h1.pop(half_open.h1, None)
        self._by_flight.pop(half_open.message2.flight, None)
