"""The course of one attempt to reach a peer: call, handshake, punch, look-up, and when to give it up.

Spec: docs/spec/mesh.md, section 2.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from shadowmesh.identity.names import OVERLAY_NETWORK, PeerID
from shadowmesh.mesh.calls import Calls, OwnAddresses
from shadowmesh.mesh.connector_events import (
    AttemptFailed,
    CandidatesLearnt,
    LinkView,
    PunchOver,
    PunchWanted,
    RecordNeeded,
)
from shadowmesh.mesh.known_peers import KnownPeers
from shadowmesh.mesh.outputs import SendUpdate
from shadowmesh.mesh.peers import Attempt, Peer
from shadowmesh.mesh.reasons import no_answer, no_path, no_record
from shadowmesh.mesh.state import PeerState
from shadowmesh.paths.candidates import KnownEndpoints, order_candidates
from shadowmesh.paths.events import PathFound
from shadowmesh.paths.punch_plan import Role
from shadowmesh.session.events import (
    CookiesDemanded,
    FailureReason,
    HandshakeFailed,
    PeerAuthenticated,
    SessionEstablished,
)
from shadowmesh.session.handshaker import Handshaker
from shadowmesh.session.keys import SUITE
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.transmit import Transmit

LOOK_UP_AFTER_S = 2.0  # without a session: the record or the addresses that we hold may be old
ATTEMPT_S = 35.0  # longer than a handshake goes on, so that its own verdict comes first
PATIENCE_S = 2.0  # for a peer that is not registered yet
QUIET_S = 10.0  # how long the last addresses are tried when the backbone says that the peer is not there

ConnectorOutput = (
    Transmit
    | SendUpdate
    | RecordNeeded
    | AttemptFailed
    | PeerAuthenticated
    | SessionEstablished
    | CookiesDemanded
    | PunchWanted
    | PunchOver
    | CandidatesLearnt
)


class Attempts:
    """Of the connector, whose peers these are, and to whom `out` goes. Owns the handshaker."""

    def __init__(
        self,
        peers: Mapping[PeerID, Peer],
        known: KnownPeers,
        handshaker: Handshaker,
        *,
        entropy: Entropy,
        now: float,
    ) -> None:
        self._peers = peers
        self._known = known
        self.handshaker = handshaker
        self.calls = Calls(entropy=entropy, now=now)
        self.own = OwnAddresses()
        self.link = LinkView()
        self.out: deque[ConnectorOutput] = deque()

    def endpoints(self, peer: Peer) -> tuple[Endpoint, ...]:
        """Where the peer may be, the likeliest first."""
        record = self._known.record(peer.peer_id)
        known = KnownEndpoints(
            last=self._known.last_endpoint(peer.peer_id),
            near=peer.near_endpoints,
            call=peer.call_endpoints,
            hints=peer.hint_endpoints,
            record=() if record is None else record.record.endpoints,
        )
        return order_candidates(known, self.own.endpoints, OVERLAY_NETWORK)

    def begin(self, peer: Peer, now: float, *, asked: bool, call: bool) -> None:
        attempt = Attempt(now, asked, give_up_at=now + ATTEMPT_S)
        record = self._known.look_up(peer.peer_id)
        if record is not None:
            peer.attempt = attempt
            self.connect(peer, now, call=call)
            return
        peer.move(PeerState.LOOKING_UP)
        peer.attempt = attempt
        if self.link.online:
            self.ask(peer)
        elif not self.link.pending:
            self.fail(peer, now, no_record(peer, self.link))

    def connect(self, peer: Peer, now: float, *, call: bool) -> None:
        attempt, record = peer.attempt, self._known.record(peer.peer_id)
        if attempt is None or record is None:
            return
        peer.move(PeerState.CONNECTING)
        if record.record.revoked:
            self.fail(peer, now, f"{peer.name} has revoked its identity")
            return
        if record.record.min_suite > SUITE:
            self.fail(peer, now, f"{peer.name} demands a newer handshake than this version has")
            return
        if self.link.online and not attempt.looked_up:
            attempt.look_up_at = now + LOOK_UP_AFTER_S
        if call:
            self.call(peer, now)
        if attempt.open_path is not None:
            self.path_found(peer, attempt.open_path, now)
        self.handshake(peer, now)
        self.judge(peer, now)

    def advance(self, peer: Peer, attempt: Attempt, now: float) -> None:
        if any(at is not None and now >= at for at in (attempt.call_at, attempt.repeat_call_at)):
            attempt.call_at = attempt.repeat_call_at = None
            self.call(peer, now)
        if attempt.look_up_at is not None and now >= attempt.look_up_at:
            attempt.look_up_at = None
            self.ask(peer)

    def not_found(self, peer: Peer, now: float, reason: str) -> None:
        """A peer that starts together with us registers in a moment: while a person waits we wait for the news."""
        attempt = peer.attempt
        if attempt is None or not attempt.asked or not self.link.updates_open or now >= attempt.started_at + PATIENCE_S:
            self.fail(peer, now, reason)
        else:
            attempt.looked_up = True
            attempt.give_up_at = attempt.started_at + PATIENCE_S
            attempt.not_found = reason

    def handshake(self, peer: Peer, now: float) -> None:
        """Tries all endpoints that are known; again with more of them while an attempt goes on."""
        record = self._known.record(peer.peer_id)
        if record is None or record.record.revoked:
            return
        candidates = self.endpoints(peer)
        if not candidates:
            return
        if peer.attempt is not None and candidates != peer.attempt.tried:
            peer.attempt.tried = candidates
            peer.attempt.give_up_at = peer.attempt.started_at + ATTEMPT_S
        self.handshaker.connect(record, candidates, now)
        self.drain_handshaker(now)

    def call(self, peer: Peer, now: float) -> None:
        if not self.link.updates_open:
            return
        call = self.calls.place(peer.peer_id, self.own, now)
        if call is not None:
            self.out.append(SendUpdate(call))
            if peer.attempt is not None:
                peer.attempt.called = True
                peer.attempt.call_failed = False
                peer.attempt.repeat_call_at = self.calls.repeat_at(peer.peer_id)

    def call_answered(self, peer: Peer) -> None:
        self.calls.answered(peer.peer_id)
        if peer.attempt is not None:
            peer.attempt.repeat_call_at = None

    def judge(self, peer: Peer, now: float) -> None:
        """Ends an attempt early when nothing is left to hope for."""
        attempt = peer.attempt
        if attempt is None or peer.state is not PeerState.CONNECTING:
            return
        may_be_called = self.link.updates_open and attempt.called and not attempt.call_failed
        may_be_found = (self.link.online or self.link.pending) and not attempt.looked_up
        if peer.punching:
            return  # it ends, and then this is asked again
        if not attempt.tried:
            if may_be_found:
                attempt.look_up_at = None
                self.ask(peer)
            elif not may_be_called:
                self.fail(peer, now, no_answer(peer, self.link))
            else:
                attempt.give_up_at = min(attempt.give_up_at, now + QUIET_S)
        elif not may_be_called and not may_be_found:
            attempt.give_up_at = min(attempt.give_up_at, now + QUIET_S)

    def ask(self, peer: Peer) -> None:
        if self.link.online and peer.attempt is not None:
            self.out.append(RecordNeeded(peer.peer_id))

    def punch(self, peer: Peer, token: bytes) -> None:
        """Comes before the handshake's first messages, which would take the ports that the peer predicts."""
        usable = self.own.usable(peer.call_candidates)
        peer.punching = True
        self.out.append(PunchWanted(peer.peer_id, token, usable, self.own.nat, peer.nat))

    def path_found(self, peer: Peer, found: PathFound, now: float) -> None:
        """The handshake's first message goes there, now or when the record has come."""
        record = self._known.record(peer.peer_id)
        if record is None:
            if peer.attempt is not None:
                peer.attempt.open_path = found
        elif not record.record.revoked:
            self.handshaker.path_found(record, found.path, now - found.rtt_s, now)
            self.drain_handshaker(now)

    def path_not_found(self, peer: Peer, role: Role, now: float) -> None:
        """Both sides have tried all that they know of each other, but chance may be kinder the next time."""
        attempt = peer.attempt
        if attempt is None or peer.state is not PeerState.CONNECTING:
            return
        if role.is_by_chance and not attempt.punched_again and self.link.updates_open:
            attempt.punched_again = True
            self.call(peer, now)
        else:
            self.fail(peer, now, no_path(peer, self.own))

    def end_punch(self, peer: Peer) -> None:
        if peer.punching:
            peer.punching = False
            self.out.append(PunchOver(peer.peer_id))

    def fail(self, peer: Peer, now: float, reason: str) -> None:
        asked = peer.attempt is not None and peer.attempt.asked
        peer.move(PeerState.UNREACHABLE, reason)
        peer.failed_at = now
        peer.near_endpoints = ()  # its next announcement brings them again, if they are its own
        self._known.failed(peer.peer_id)
        peer.schedule(now + peer.backoff.next_delay_s())
        self.handshaker.cancel(peer.peer_id, now)
        self.drain_handshaker(now)
        self.end_punch(peer)
        self.out.append(AttemptFailed(peer.peer_id, reason, asked))

    def drain_handshaker(self, now: float) -> None:
        while (output := self.handshaker.poll()) is not None:
            match output:
                case HandshakeFailed(peer=peer_id, reason=reason):
                    peer = self._peers.get(peer_id)
                    if peer is not None and peer.state is PeerState.CONNECTING:
                        self._handshake_failed(peer, reason, now)
                case _:
                    self.out.append(output)

    def _handshake_failed(self, peer: Peer, reason: FailureReason, now: float) -> None:
        match reason:
            case FailureReason.CANCELLED:
                pass
            case FailureReason.TIMEOUT:
                self.fail(peer, now, no_answer(peer, self.link))
            case FailureReason.WRONG_KEY:
                self.fail(peer, now, f"{peer.name}: {reason.value}")
