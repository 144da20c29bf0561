"""When a trusted peer is to be reached: on command, by news of it, by what came from it, and again later.

Spec: docs/spec/mesh.md, section 2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import Enum

from shadowmesh.backbone_protocol.updates import Call, CallFailed, Refused, ServerMessage, Update
from shadowmesh.identity.names import PeerID
from shadowmesh.mesh.attempts import LOOK_UP_AFTER_S, Attempts, ConnectorOutput
from shadowmesh.mesh.backoff import Backoff
from shadowmesh.mesh.calls import OwnAddresses
from shadowmesh.mesh.connector_events import (
    AttemptFailed,
    CandidatesLearnt,
    LinkView,
    RecordNeeded,
)
from shadowmesh.mesh.known_peers import KnownPeers
from shadowmesh.mesh.outputs import SendUpdate
from shadowmesh.mesh.peers import RECENTLY_WANTED_S, RETRY_DELAYS_S, Peer
from shadowmesh.mesh.reasons import no_answer, no_record
from shadowmesh.mesh.state import PeerState, TrustedPeer
from shadowmesh.paths.candidates import Candidate
from shadowmesh.paths.events import PathFound, PunchEnded
from shadowmesh.paths.nat_behaviour import NatBehaviour
from shadowmesh.records.hints import Hints
from shadowmesh.session.handshaker import Handshaker
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy, jitter
from shadowmesh.wire.errors import DecodeError

PACKET_RETRY_S = 5.0  # packets for an unreachable peer begin an attempt no sooner after the last one
STEADY_S = 30.0  # a session that lived shorter does not make the next pause short
FRESH_SESSION_S = 2.0  # a call that crossed the handshake asks for nothing more
ONLINE_JITTER_S = 0.5  # peers of a node that appears do not all come at once
START_STAGGER_S = 0.05
START_PEERS = 16  # tried at once when the node starts; the rest when the backbone says that they are online
MAX_ATTEMPTS = 64  # at a time, beyond those that a person or a packet waits for
_BUSY_DELAY_S = 1.0


class ConnectorDrop(Enum):
    CALL_UNTRUSTED = "call: untrusted peer"
    UPDATE_UNTRUSTED = "update: untrusted peer"
    MALFORMED = "update: malformed"
    REFUSED = "update: the backbone refused a message of ours"


class Connector:
    """After each call: drain `poll()`, then read `next_timeout()`."""

    def __init__(self, known: KnownPeers, handshaker: Handshaker, *, entropy: Entropy, now: float) -> None:
        """Owns the handshaker."""
        self._known = known
        self._entropy = entropy
        self._peers: dict[PeerID, Peer] = {}
        self._attempts = Attempts(self._peers, known, handshaker, entropy=entropy, now=now)
        self._drops: Counter[str] = Counter()

    @property
    def handshaker(self) -> Handshaker:
        return self._attempts.handshaker

    @property
    def connecting(self) -> bool:
        """Whether any attempt is under way."""
        return any(peer.attempt is not None for peer in self._peers.values())

    def get(self, peer: PeerID) -> Peer | None:
        return self._peers.get(peer)

    def all(self) -> list[Peer]:
        return list(self._peers.values())

    # Commands.

    def add(self, trusted: TrustedPeer) -> None:
        peer = Peer(trusted, Backoff(RETRY_DELAYS_S, self._entropy))
        self._peers[peer.peer_id] = peer
        self._attempts.handshaker.allow(trusted.fingerprint, self._known.record(peer.peer_id))

    def remove(self, trusted: TrustedPeer, now: float) -> None:
        """Untrusted: nothing is answered any more."""
        peer = self._peers.pop(trusted.fingerprint.peer_id)
        self._attempts.handshaker.disallow(trusted.fingerprint, now)
        self._attempts.calls.forget(peer.peer_id)
        self._attempts.end_punch(peer)
        self._attempts.drain_handshaker(now)
        if peer.attempt is not None and peer.attempt.asked:
            self._attempts.out.append(AttemptFailed(peer.peer_id, f"{peer.name} is no longer trusted", asked=True))

    def start(self, now: float) -> None:
        """Tries the peers that we can find without asking anybody."""
        known = [
            peer
            for peer in self._peers.values()
            if self._known.last_endpoint(peer.peer_id) is not None or self._known.record(peer.peer_id) is not None
        ]
        for index, peer in enumerate(known[:START_PEERS]):
            peer.wanted_until = now + RECENTLY_WANTED_S
            peer.schedule(now + index * START_STAGGER_S)
        self.handle_timeout(now)

    def try_now(self, peer_id: PeerID, now: float) -> None:
        """Nobody waits for the peer, but it may have been waiting for us. Raises KeyError when it is not trusted."""
        peer = self._peers[peer_id]
        peer.wanted_until = now + RECENTLY_WANTED_S
        if self._attempts.handshaker.take_refused(peer_id, now):
            self._attempts.drain_handshaker(now)
        else:
            peer.schedule(now)
            self.handle_timeout(now)

    def want(self, peer_id: PeerID, now: float) -> None:
        """A command waits for the peer. Raises KeyError when it is not trusted."""
        self._want(self._peers[peer_id], now)

    def want_for_packet(self, peer_id: PeerID, now: float) -> None:
        """A packet waits for the peer; the next one does not make us try more often."""
        peer = self._peers[peer_id]
        peer.wanted_until = now + RECENTLY_WANTED_S
        if peer.state is not PeerState.UNREACHABLE or now >= peer.failed_at + PACKET_RETRY_S:
            self._want(peer, now)

    def rehandshake(self, peer_id: PeerID, path: Endpoint, now: float, *, forgotten: bool) -> None:
        """A new session on the same path, while the old one goes on. `forgotten`: by the peer, and our record too."""
        record = self._known.record(peer_id)
        if record is not None:
            if forgotten:
                self._attempts.handshaker.peer_forgot(peer_id)
            self._attempts.handshaker.connect(record, [path], now)
            self._attempts.drain_handshaker(now)

    def call(self, peer_id: PeerID, now: float) -> None:
        """A peer with a session. Raises KeyError when it is not trusted."""
        self._attempts.call(self._peers[peer_id], now)

    def path_settled(self, peer_id: PeerID) -> None:
        """The session has found its path."""
        if (peer := self._peers.get(peer_id)) is not None:
            self._attempts.end_punch(peer)

    def try_wanted(self, now: float) -> None:
        """The network has changed: who was wanted lately, and could not be reached, may be reachable now."""
        for peer in self._peers.values():
            if peer.state is PeerState.UNREACHABLE and now < peer.wanted_until:
                peer.backoff.reset()
                peer.schedule(now + jitter(self._entropy, 0.0, ONLINE_JITTER_S))

    def is_calling(self, peer_id: PeerID, now: float) -> bool:
        """Whether our last call may still be on its way to the peer, or its answer back."""
        return self._attempts.calls.is_under_way(peer_id, now)

    def endpoints(self, peer_id: PeerID) -> tuple[Endpoint, ...]:
        """Where the peer may be, the likeliest first. Raises KeyError when it is not trusted."""
        return self._attempts.endpoints(self._peers[peer_id])

    # From below and from the backbone.

    def path_found(self, found: PathFound, now: float) -> None:
        """Datagrams pass both ways there: a handshake needs nothing more."""
        peer = self._peers.get(found.peer)
        if peer is not None:
            self._attempts.path_found(peer, found, now)

    def met_nearby(self, peer_id: PeerID, endpoint: Endpoint, now: float) -> None:
        """It has announced itself in our LAN, and its record is held."""
        peer, record = self._peers.get(peer_id), self._known.record(peer_id)
        if peer is None or record is None or peer.state is PeerState.CONNECTED:
            return
        peer.seen_near(endpoint)
        self._attempts.handshaker.allow(peer.trusted.fingerprint, record)
        if peer.attempt is None:
            peer.wanted_until = max(peer.wanted_until, now + RECENTLY_WANTED_S)
            self._attempts.begin(peer, now, asked=False, call=True)
        elif peer.state is PeerState.LOOKING_UP:
            self._attempts.connect(peer, now, call=True)
        else:
            self._attempts.handshake(peer, now)

    def punch_ended(self, ended: PunchEnded, now: float) -> None:
        peer = self._peers.get(ended.peer)
        if peer is not None:
            peer.punching, peer.punch = False, ended
            if ended.found:
                self._attempts.judge(peer, now)
            else:
                self._attempts.path_not_found(peer, ended.role, now)

    def receive_datagram(self, data: bytes, source: Endpoint, now: float) -> None:
        self._attempts.handshaker.receive_datagram(data, source, now)
        self._attempts.drain_handshaker(now)

    def link_changed(self, link: LinkView, now: float) -> None:
        opened = link.updates_open and not self._attempts.link.updates_open
        logged_in = link.online and not self._attempts.link.online
        self._attempts.link = link
        for peer in list(self._peers.values()):
            if not link.updates_open:
                peer.online = None
            if peer.state is PeerState.LOOKING_UP:
                if logged_in:
                    self._attempts.ask(peer)
                elif not link.online and not link.pending:
                    self._attempts.fail(peer, now, no_record(peer, self._attempts.link))
            elif peer.state is PeerState.CONNECTING:
                if opened:
                    self._attempts.call(peer, now)
                if logged_in and peer.attempt is not None and not peer.attempt.looked_up:
                    peer.attempt.look_up_at = now + LOOK_UP_AFTER_S
                self._attempts.judge(peer, now)

    def own_addresses_changed(self, own: OwnAddresses, now: float) -> None:
        """Peers that wait for ours are called again."""
        self._attempts.own = own
        for peer in self._peers.values():
            if peer.state is PeerState.CONNECTING and peer.attempt is not None:
                peer.attempt.call_at = self._attempts.calls.next_at(peer.peer_id)
                self._attempts.advance(peer, peer.attempt, now)

    def looked_up(self, peer_id: PeerID, *, hints: Hints | None, failure: str, now: float) -> None:
        """The answer to RecordNeeded. `hints` is None when nothing was found, `failure` says why."""
        peer = self._peers.get(peer_id)
        if peer is None:
            return
        record = self._known.record(peer_id)
        if record is not None:
            self._attempts.handshaker.allow(peer.trusted.fingerprint, record)
        if hints is not None:
            peer.online, peer.hint_endpoints = hints.online, hints.endpoints
        if peer.state is PeerState.LOOKING_UP:
            if record is not None:
                self._attempts.connect(peer, now, call=True)
            else:
                self._attempts.not_found(
                    peer, now, f"{peer.name} is not found: {failure or 'the backbone gave no record'}"
                )
        elif peer.state is PeerState.CONNECTING and peer.attempt is not None:
            peer.attempt.looked_up = True
            self._attempts.handshake(peer, now)
            self._attempts.judge(peer, now)

    def update_received(self, message: ServerMessage, now: float) -> None:
        match message:
            case Update():
                self._hints_received(message, now)
            case Call():
                self._call_received(message, now)
            case CallFailed():
                peer = self._peers.get(PeerID(message.peer))
                if peer is not None and self._attempts.calls.is_ours(peer.peer_id, message.token):
                    self._attempts.call_answered(peer)
                    peer.online = False
                    if peer.attempt is not None:
                        peer.attempt.call_failed = True
                        self._attempts.judge(peer, now)
            case Refused():
                self._drops[ConnectorDrop.REFUSED.value] += 1

    def connected(self, peer_id: PeerID, now: float) -> bool:
        """The session is installed. True when there was none before."""
        peer = self._peers[peer_id]
        peer.connected_at = now
        self._attempts.end_punch(peer)
        if peer.state is PeerState.CONNECTED:
            return False
        peer.move(PeerState.CONNECTED)
        return True

    def disconnected(self, peer_id: PeerID, reason: str, now: float) -> None:
        """The peer fell silent: it is tried again."""
        peer = self._peers[peer_id]
        if peer.state is not PeerState.CONNECTED:
            return
        peer.wanted_until = now + RECENTLY_WANTED_S
        if now >= peer.connected_at + STEADY_S:
            peer.backoff.reset()
        peer.move(PeerState.UNREACHABLE, reason)
        peer.schedule(now + peer.backoff.next_delay_s())

    def refused(self, peer_id: PeerID, reason: str, now: float) -> None:
        """A session was established that must not be used."""
        peer = self._peers[peer_id]
        if peer.state is PeerState.IDLE:
            peer.move(PeerState.UNREACHABLE, reason)
        elif peer.state is not PeerState.CONNECTED:
            self._attempts.fail(peer, now, reason)

    def handle_timeout(self, now: float) -> None:
        self._attempts.handshaker.handle_timeout(now)
        self._attempts.drain_handshaker(now)
        for peer in list(self._peers.values()):
            due_at = peer.next_timeout()
            if due_at is None or now < due_at:
                continue
            if peer.attempt is None:
                self._begin_by_itself(peer, now)
            elif now >= peer.attempt.give_up_at:
                self._attempts.fail(peer, now, peer.attempt.not_found or no_answer(peer, self._attempts.link))
            else:
                self._attempts.advance(peer, peer.attempt, now)

    def next_timeout(self) -> float | None:
        deadlines = [peer.next_timeout() for peer in self._peers.values()]
        deadlines.append(self._attempts.handshaker.next_timeout())
        return min((at for at in deadlines if at is not None), default=None)

    def poll(self) -> ConnectorOutput | None:
        return self._attempts.out.popleft() if self._attempts.out else None

    @property
    def drops(self) -> Mapping[str, int]:
        return self._drops + Counter(self._attempts.calls.drops)

    def _want(self, peer: Peer, now: float) -> None:
        peer.wanted_until = now + RECENTLY_WANTED_S
        if peer.attempt is not None:
            peer.attempt.asked = True
        elif peer.state is not PeerState.CONNECTED:
            self._attempts.begin(peer, now, asked=True, call=True)

    def _begin_by_itself(self, peer: Peer, now: float) -> None:
        peer.attempt_at = None
        if now >= peer.wanted_until:
            if peer.state is PeerState.UNREACHABLE:
                peer.move(PeerState.IDLE, peer.reason)
        elif sum(other.attempt is not None for other in self._peers.values()) >= MAX_ATTEMPTS:
            peer.schedule(now + jitter(self._entropy, _BUSY_DELAY_S, 2 * _BUSY_DELAY_S))
        else:
            self._attempts.begin(peer, now, asked=False, call=True)

    def _hints_received(self, update: Update, now: float) -> None:
        peer = self._peers.get(PeerID(update.peer))
        if peer is None:
            self._drops[ConnectorDrop.UPDATE_UNTRUSTED.value] += 1
            return
        try:
            hints = Hints.decode(update.hints)
        except DecodeError:
            self._drops[ConnectorDrop.MALFORMED.value] += 1
            return
        peer.online, peer.hint_endpoints = hints.online, hints.endpoints
        if peer.state is PeerState.CONNECTED:
            # A newer record may name another key, or be a revocation.
            if not self._known.has(peer.peer_id, update.record_id):
                self._attempts.out.append(RecordNeeded(peer.peer_id))
            return
        if not hints.online:
            return
        if peer.attempt is None:
            peer.wanted_until = max(peer.wanted_until, now + RECENTLY_WANTED_S)
            peer.schedule(now + jitter(self._entropy, 0.0, ONLINE_JITTER_S))
        elif peer.state is PeerState.CONNECTING:
            self._attempts.handshake(peer, now)
            self._attempts.call(peer, now)
        elif peer.attempt.looked_up:
            self._attempts.ask(peer)

    def _call_received(self, call: Call, now: float) -> None:
        peer = self._peers.get(PeerID(call.peer))
        if peer is None:
            self._drops[ConnectorDrop.CALL_UNTRUSTED.value] += 1
            return
        try:
            candidates = tuple(Candidate.decode(encoded) for encoded in call.candidates)
            nat = NatBehaviour.decode(call.nat)
        except DecodeError:
            self._drops[ConnectorDrop.MALFORMED.value] += 1
            return
        if call.answer:
            if not self._attempts.calls.is_ours(peer.peer_id, call.token):
                return
            self._attempts.call_answered(peer)
        else:
            answer = self._attempts.calls.answer(call, self._attempts.own, now)
            if answer is None:
                return
            self._attempts.out.append(SendUpdate(answer))
        peer.online = True
        peer.call_candidates, peer.nat = candidates, nat
        if peer.state is PeerState.CONNECTED:
            # Its path or its addresses are others; or it has lost the session, and begins a handshake on what is found.
            is_fresh = now < peer.connected_at + FRESH_SESSION_S
            if not is_fresh:
                self._attempts.punch(peer, call.token)
            self._attempts.out.append(CandidatesLearnt(peer.peer_id, path_in_doubt=not (is_fresh or call.answer)))
        elif peer.attempt is None:
            peer.wanted_until = max(peer.wanted_until, now + RECENTLY_WANTED_S)
            self._attempts.punch(peer, call.token)
            self._attempts.begin(peer, now, asked=False, call=False)
        else:
            # Also while its record is being looked up: what leaves before the punch takes the ports that it predicts.
            self._attempts.punch(peer, call.token)
            if peer.state is PeerState.CONNECTING:
                self._attempts.handshake(peer, now)
                self._attempts.judge(peer, now)
