"""A trusted peer's connection state, and which moves between states are legal. Spec: docs/spec/mesh.md, section 2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shadowmesh.identity.names import PeerID
from shadowmesh.mesh.backoff import Backoff
from shadowmesh.mesh.state import PeerState, TrustedPeer
from shadowmesh.mesh.trust import display_name
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.events import PathFound, PunchEnded
from shadowmesh.paths.nat_behaviour import UNKNOWN_NAT, NatBehaviour
from shadowmesh.wire.endpoint import Endpoint

_S = PeerState
LEGAL_MOVES: Mapping[PeerState, frozenset[PeerState]] = {
    _S.IDLE: frozenset({_S.LOOKING_UP, _S.CONNECTING, _S.CONNECTED, _S.UNREACHABLE}),
    _S.LOOKING_UP: frozenset({_S.CONNECTING, _S.CONNECTED, _S.UNREACHABLE}),
    _S.CONNECTING: frozenset({_S.CONNECTED, _S.UNREACHABLE}),
    _S.CONNECTED: frozenset({_S.UNREACHABLE}),
    _S.UNREACHABLE: frozenset({_S.LOOKING_UP, _S.CONNECTING, _S.CONNECTED, _S.IDLE}),
}
RETRY_DELAYS_S = (1.0, 2.0, 5.0, 15.0, 60.0)
MAX_NEAR_ENDPOINTS = 4  # of several addresses, or of somebody who forges some
RECENTLY_WANTED_S = 600.0  # how long an unreachable peer is tried again after somebody wanted it


class IllegalMove(RuntimeError):
    """A mistake of ours: the state machine has no such move."""


@dataclass(slots=True)
class Attempt:
    """What has been done to reach a peer since the attempt began."""

    started_at: float
    asked: bool  # a command or a packet waits for the result
    give_up_at: float
    look_up_at: float | None = None  # when to ask the backbone whether it knows more
    looked_up: bool = False
    not_found: str = ""  # why it is not looked up again but waited for
    called: bool = False
    call_failed: bool = False
    call_at: float | None = None  # when to tell the peer of our new endpoints
    repeat_call_at: float | None = None  # no answer has come by then
    tried: tuple[Endpoint, ...] = ()
    punched_again: bool = False  # after ports had been guessed in vain
    open_path: PathFound | None = None  # which a punch has found before the record was there


@dataclass(slots=True)
class Peer:
    trusted: TrustedPeer
    backoff: Backoff
    state: PeerState = PeerState.IDLE
    reason: str = "not wanted yet"
    attempt: Attempt | None = None  # set in LOOKING_UP and CONNECTING
    attempt_at: float | None = None  # when the next one begins by itself, in IDLE and UNREACHABLE
    failed_at: float = float("-inf")
    connected_at: float = float("-inf")
    wanted_until: float = float("-inf")
    online: bool | None = None  # as the backbone said last
    near_endpoints: tuple[Endpoint, ...] = ()  # where it has announced itself in our LAN, the newest first
    hint_endpoints: tuple[Endpoint, ...] = ()
    call_candidates: tuple[Candidate, ...] = ()
    nat: NatBehaviour = UNKNOWN_NAT  # as the peer told in a call
    punching: bool = False
    punch: PunchEnded | None = None  # how the last attempt to open a path ended
    last_attempt: Attempt | None = None

    @property
    def peer_id(self) -> PeerID:
        return self.trusted.fingerprint.peer_id

    @property
    def name(self) -> str:
        return display_name(self.trusted)

    @property
    def call_endpoints(self) -> tuple[Endpoint, ...]:
        """Where a handshake is worth sending: a hard NAT drops what comes to the port that somebody else saw."""
        return tuple(
            candidate.endpoint
            for candidate in self.call_candidates
            if not (self.nat.is_hard and candidate.kind is CandidateKind.SERVER_REFLEXIVE)
        )

    def seen_near(self, endpoint: Endpoint) -> None:
        self.near_endpoints = tuple(dict.fromkeys([endpoint, *self.near_endpoints]))[:MAX_NEAR_ENDPOINTS]

    def move(self, to: PeerState, reason: str = "") -> None:
        """While an unreachable peer is tried again, the last reason stands. Raises IllegalMove."""
        if to not in LEGAL_MOVES[self.state]:
            raise IllegalMove(f"{self.state.value} -> {to.value}")
        if reason or to is PeerState.CONNECTED or self.state is PeerState.IDLE:
            self.reason = reason
        self.state = to
        if to not in (PeerState.LOOKING_UP, PeerState.CONNECTING):
            self.last_attempt, self.attempt = self.attempt or self.last_attempt, None
        if to in (PeerState.LOOKING_UP, PeerState.CONNECTING, PeerState.CONNECTED):
            self.attempt_at = None

    def schedule(self, at: float) -> None:
        """Begin an attempt then, or when it is due already if that is sooner."""
        self.attempt_at = at if self.attempt_at is None else min(at, self.attempt_at)

    def next_timeout(self) -> float | None:
        if self.attempt is None:
            return self.attempt_at
        attempt = self.attempt
        deadlines = attempt.give_up_at, attempt.look_up_at, attempt.call_at, attempt.repeat_call_at
        return min(at for at in deadlines if at is not None)
