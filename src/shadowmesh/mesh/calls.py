"""Calls: two trusting peers tell each other their addresses through the backbone. Spec: docs/spec/backbone.md.

Who is not trusted gets no answer, not even a refusal: it can find us, not reach us.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeVar

from shadowmesh.backbone_protocol.updates import MAX_CALL_CANDIDATES, Call
from shadowmesh.identity.names import OVERLAY_NETWORK, PeerID
from shadowmesh.paths.candidates import Candidate, is_usable
from shadowmesh.paths.nat_behaviour import UNKNOWN_NAT, NatBehaviour
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy

TOKEN_BYTES = 16
MIN_INTERVAL_S = 1.0  # between two calls to, or two answers for, the same peer
REPEAT_S = 1.5  # without an answer: five round trips through a distant backbone
MAX_REPEATS = 3  # one message of ten lost, and four there of one exchange: three of four tries fail in 1 of 26 cases
_PEER_BURST = 3  # a call, a retry, and one with a new address
_TOTAL_RATE = 10.0  # answers a second, each of which may start a handshake of 5 ms
_TOTAL_BURST = 40.0  # a small mesh that comes back all at once
MAX_REMEMBERED = 1000  # one a trusted peer


T = TypeVar("T")


class CallDrop(Enum):
    RATE_LIMITED = "call: rate limited"
    UNASKED = "call: answer to nothing"


@dataclass(frozen=True, slots=True)
class OwnAddresses:
    """What we tell a trusted peer of ourselves, the best first."""

    candidates: tuple[Candidate, ...] = ()
    nat: NatBehaviour = UNKNOWN_NAT

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return tuple(candidate.endpoint for candidate in self.candidates)

    def usable(self, candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
        """Those of a peer that a datagram of ours may reach."""
        return tuple(each for each in candidates if is_usable(each.endpoint, self.endpoints, OVERLAY_NETWORK))


@dataclass(frozen=True, slots=True)
class _Placed:
    """`at`: when it went out last."""

    token: bytes
    at: float
    repeats: int = 0
    answered: bool = False


class TokenBucket:
    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._at = now

    def take(self, now: float) -> bool:
        self._level = min(self._burst, self._level + self._rate * (now - self._at))
        self._at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True


class Calls:
    """Makes and answers calls with trusted peers; whom to trust is the caller's decision. Has no timers."""

    def __init__(self, *, entropy: Entropy, now: float) -> None:
        self._entropy = entropy
        self._placed: dict[PeerID, _Placed] = {}
        self._answered: dict[PeerID, TokenBucket] = {}
        self._total = TokenBucket(_TOTAL_RATE, _TOTAL_BURST, now)
        self._drops: Counter[str] = Counter()

    def place(self, peer: PeerID, own: OwnAddresses, now: float) -> Call | None:
        """The call of before once more while it may be repeated. None when it went out less than a second ago."""
        if now < self.next_at(peer):
            return None
        before, repeat_at = self._placed.get(peer), self.repeat_at(peer)
        if before is not None and repeat_at is not None and now < repeat_at + REPEAT_S:
            placed = replace(before, at=now, repeats=before.repeats + 1)
        else:
            placed = _Placed(self._entropy(TOKEN_BYTES), now)
        _bounded_put(self._placed, peer, placed)
        return _call(peer, placed.token, own, answer=False)

    def next_at(self, peer: PeerID) -> float:
        """When this peer may be called again."""
        placed = self._placed.get(peer)
        return float("-inf") if placed is None else placed.at + MIN_INTERVAL_S

    def repeat_at(self, peer: PeerID) -> float | None:
        """When to place the last call once more, as it, or its answer, may be lost. None: it has been answered, or
        repeated often enough."""
        placed = self._placed.get(peer)
        if placed is None or placed.answered or placed.repeats == MAX_REPEATS:
            return None
        return placed.at + REPEAT_S

    def is_under_way(self, peer: PeerID, now: float) -> bool:
        """Whether our last call may still be on its way there, or its answer back."""
        placed = self._placed.get(peer)
        return placed is not None and not placed.answered and now < placed.at + REPEAT_S

    def answered(self, peer: PeerID) -> None:
        """Our last call needs no repetition: an answer came, or the backbone says that the peer is away."""
        if peer in self._placed:
            self._placed[peer] = replace(self._placed[peer], answered=True)

    def answer(self, call: Call, own: OwnAddresses, now: float) -> Call | None:
        """None when this peer, or all together, call too often."""
        peer = PeerID(call.peer)
        if peer not in self._answered:
            _bounded_put(self._answered, peer, TokenBucket(1 / MIN_INTERVAL_S, _PEER_BURST, now))
        if not self._answered[peer].take(now) or not self._total.take(now):
            self._drops[CallDrop.RATE_LIMITED.value] += 1
            return None
        return _call(peer, call.token, own, answer=True)

    def is_ours(self, peer: PeerID, token: bytes) -> bool:
        """Whether an answer, or the failure of a call, belongs to our last call to this peer."""
        placed = self._placed.get(peer)
        if placed is not None and placed.token == token:
            return True
        self._drops[CallDrop.UNASKED.value] += 1
        return False

    def forget(self, peer: PeerID) -> None:
        self._placed.pop(peer, None)
        self._answered.pop(peer, None)

    @property
    def drops(self) -> Mapping[str, int]:
        return self._drops


def with_addresses(call: Call, own: OwnAddresses) -> Call:
    """The same call with what is known by now."""
    return _call(PeerID(call.peer), call.token, own, answer=call.answer)


def _call(peer: PeerID, token: bytes, own: OwnAddresses, *, answer: bool) -> Call:
    candidates = [candidate.encode() for candidate in own.candidates[:MAX_CALL_CANDIDATES]]
    return Call(peer=peer.raw, token=token, answer=answer, candidates=candidates, nat=own.nat.encode())


def _bounded_put(table: dict[PeerID, T], peer: PeerID, value: T) -> None:
    table.pop(peer, None)
    if len(table) >= MAX_REMEMBERED:
        del table[next(iter(table))]
    table[peer] = value
