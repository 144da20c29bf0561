"""All handshakes of one node as one machine without I/O. Spec: docs/spec/session.md."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from shadowmesh.identity.keys import Identity
from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.records.peer_record import SignedRecord
from shadowmesh.session.cookie_jar import CookieJar
from shadowmesh.session.cookie_reply import CookieReply
from shadowmesh.session.drops import Dropped
from shadowmesh.session.events import (
    CookiesDemanded,
    DropReason,
    FailureReason,
    HandshakeFailed,
    SessionEstablished,
    SessionEvent,
)
from shadowmesh.session.fragments import CID_BYTES, Fragment, MissingRequest
from shadowmesh.session.half_open import HalfOpen
from shadowmesh.session.initiator import Attempt
from shadowmesh.session.limits import (
    MAX_KNOWN_A_SOURCE,
    MAX_KNOWN_REASSEMBLIES,
    MAX_UNVALIDATED_A_PREFIX,
    MAX_UNVALIDATED_REASSEMBLIES,
)
from shadowmesh.session.messages import check_length
from shadowmesh.session.own_side import OwnSide
from shadowmesh.session.peers import AllowedPeer, AllowedPeers
from shadowmesh.session.reassembly import Reassembler
from shadowmesh.session.responder import OpenedMessage3, Responder
from shadowmesh.session.source_prefix import source_prefix
from shadowmesh.wire.clock import WallClock
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.first_byte import ControlType
from shadowmesh.wire.open_ids import IdTable, OpenIds
from shadowmesh.wire.transmit import Transmit

DATAGRAM_TYPES = (ControlType.SESSION, ControlType.SESSION_MISSING, ControlType.COOKIE)


class Handshaker:
    """Makes sessions with allowed peers, as initiator and as responder.

    After each call: drain `poll()`, then read `next_timeout()`. Times are monotonic seconds.
    """

    def __init__(
        self,
        identity: Identity,
        own_record: SignedRecord,
        *,
        entropy: Entropy,
        wall_clock: WallClock,
        ids: OpenIds,
        now: float,  # noqa: ARG002  every machine is made at a time
    ) -> None:
        """Raises ValueError when the record is not of the identity's key."""
        self._own = OwnSide(identity, own_record)
        self._own.replace_record(own_record)
        self._entropy = entropy
        self._peers = AllowedPeers()
        self._attempts: dict[PeerID, Attempt] = {}
        self._attempts_by_cid: IdTable[Attempt] = IdTable(ids)
        self._cookies = CookieJar()
        self._responder = Responder(self._own, self._peers, entropy=entropy, wall_clock=wall_clock, ids=ids)
        self._demands_cookies = False
        self._unvalidated = Reassembler(
            max_buffers=MAX_UNVALIDATED_REASSEMBLIES, max_a_group=MAX_UNVALIDATED_A_PREFIX, asks=False
        )
        self._known = Reassembler(max_buffers=MAX_KNOWN_REASSEMBLIES, max_a_group=MAX_KNOWN_A_SOURCE, asks=True)
        self._drops = dict.fromkeys(DropReason, 0)
        self._outputs: deque[Transmit | SessionEvent] = deque()

    @property
    def drops(self) -> Mapping[DropReason, int]:
        """How often something was ignored, by reason."""
        evictions = {
            DropReason.REASSEMBLY_FULL: self._unvalidated.evictions + self._known.evictions,
            DropReason.HALF_OPEN_FULL: self._responder.evictions,
        }
        return {reason: count + evictions.get(reason, 0) for reason, count in self._drops.items()}

    @property
    def reassembly_bytes(self) -> int:
        """Held of messages that are not complete."""
        return self._unvalidated.held_bytes + self._known.held_bytes

    def connecting(self, peer: PeerID) -> bool:
        return peer in self._attempts

    def allow(self, fingerprint: Fingerprint, record: SignedRecord | None) -> None:
        """Puts a peer on the trust list, or gives its newer record, which must be verified. Raises ValueError."""
        self._peers.allow(fingerprint, record)

    def disallow(self, fingerprint: Fingerprint, now: float) -> None:
        """No answer to this peer any more; an attempt to reach it fails as cancelled."""
        self.cancel(fingerprint.peer_id, now)
        self._responder.forget(fingerprint.peer_id)
        self._cookies.forget(fingerprint.peer_id)
        self._peers.disallow(fingerprint)

    def take_refused(self, peer: PeerID, now: float) -> bool:
        """A peer that is allowed since a moment may have begun before, and wait: whether that makes a session."""
        opened = self._responder.open_refused(peer, now)
        if opened is None:
            return False
        try:
            self._accept(opened, now)
        except (DecodeError, Dropped) as error:
            self._count(error)
            return False
        finally:
            self._watch_load()
        return True

    def own_record_changed(self, record: SignedRecord) -> None:
        """For the handshakes that begin from now on. Raises ValueError for the record of another key."""
        self._own.replace_record(record)

    def connect(self, record: SignedRecord, endpoints: Sequence[Endpoint], now: float) -> None:
        """Begins an attempt to reach an allowed peer, or adds endpoints to it: eight in all, more are ignored.

        It ends with SessionEstablished, with HandshakeFailed after 30 s, or silently in the session that the
        peer began at the same time. Raises ValueError for a peer that is not allowed, or whose record is revoked.
        """
        peer = self._peers.get(record.peer_id)
        if peer is None or record.peer_id == self._own.identity.peer_id:
            raise ValueError("only an allowed peer is connected to")
        peer.learn(record)
        if peer.record is not None and peer.record.record.revoked:
            raise ValueError("the record is revoked")
        attempt = self._attempts.get(peer.peer_id)
        if attempt is None:
            attempt = Attempt(self._own, peer, self._entropy(CID_BYTES), self._cookies, self._entropy, now)
            self._attempts[peer.peer_id] = attempt
            self._attempts_by_cid[attempt.cid] = attempt
        self._outputs += attempt.add_endpoints(endpoints, now)

    def path_found(self, record: SignedRecord, endpoint: Endpoint, probed_at: float, now: float) -> None:
        """What was sent there at `probed_at` was answered: message 1 goes there now. Raises ValueError as `connect`."""
        self.connect(record, [], now)
        self._outputs += self._attempts[record.peer_id].path_found(endpoint, probed_at, now)

    def peer_forgot(self, peer: PeerID) -> None:
        """The peer may have lost our record: the next attempt brings it at once."""
        allowed = self._peers.get(peer)
        if allowed is not None:
            allowed.informed_of = None

    def cancel(self, peer: PeerID, now: float) -> None:  # noqa: ARG002  every command has its time
        """Ends the attempt, if there is one, with HandshakeFailed."""
        if self._drop_attempt(peer):
            self._outputs.append(HandshakeFailed(peer, FailureReason.CANCELLED))

    def receive_datagram(self, data: bytes, source: Endpoint, now: float) -> None:
        """A datagram whose first byte is one of DATAGRAM_TYPES. Never raises; see `drops`."""
        try:
            match data[0] if data else None:
                case ControlType.SESSION_MISSING:
                    self._receive_request(MissingRequest.decode(data), len(data), source, now)
                case ControlType.COOKIE:
                    self._receive_cookie(CookieReply.decode(data), source, now)
                case _:
                    self._receive_fragment(Fragment.decode(data), len(data), source, now)
        except (DecodeError, Dropped) as error:
            self._count(error)
        self._watch_load()

    def handle_timeout(self, now: float) -> None:
        for attempt in list(self._attempts.values()):
            if attempt.gives_up_at <= now:
                attempt.peer.informed_of = None
                self._drop_attempt(attempt.peer.peer_id)
                self._outputs.append(HandshakeFailed(attempt.peer.peer_id, attempt.failure))
            else:
                self._outputs += attempt.retransmit(now)
        self._unvalidated.expire(now)
        self._known.expire(now)
        self._responder.expire(now)
        for request, source in self._known.requests(now):
            self._outputs += self._ask(request, source)
        self._watch_load()

    def next_timeout(self) -> float | None:
        when = min(
            min((attempt.next_timeout for attempt in self._attempts.values()), default=math.inf),
            self._unvalidated.next_timeout(),
            self._known.next_timeout(),
            self._responder.next_timeout(),
        )
        return None if when == math.inf else when

    def poll(self) -> Transmit | SessionEvent | None:
        return self._outputs.popleft() if self._outputs else None

    def _receive_fragment(self, fragment: Fragment, received_bytes: int, source: Endpoint, now: float) -> None:
        flight = fragment.flight
        check_length(flight.message, flight.length)
        match flight.message:
            case 1:
                message = self._unvalidated.add(fragment, source, source_prefix(source), now)
                if message is not None:
                    self._outputs += self._responder.receive_message1(message, flight, source, now)
            case 3:
                self._receive_message3(fragment, received_bytes, source, now)
            case _:
                self._receive_as_initiator(fragment, received_bytes, source, now)

    def _receive_as_initiator(self, fragment: Fragment, received_bytes: int, source: Endpoint, now: float) -> None:
        cid = fragment.flight.cid
        attempt = self._attempts_by_cid.get(cid)
        if attempt is None:
            raise Dropped(DropReason.UNKNOWN_CONNECTION)
        if fragment.flight.message == 2 and attempt.message2_verified:
            raise Dropped(DropReason.REPLAYED)
        attempt.credit(source, received_bytes)
        message = self._known.add(fragment, source, (cid, source), now)
        if message is None:
            return
        if fragment.flight.message == 2:
            transmits, authenticated = attempt.receive_message2(message, source, now)
            self._outputs += transmits
            self._outputs.append(authenticated)  # behind M3: what follows from it meets a peer that knows of us
            self._known.forget(cid)
        else:
            self._establish(attempt.peer, attempt.receive_message4(message, now))

    def _receive_message3(self, fragment: Fragment, received_bytes: int, source: Endpoint, now: float) -> None:
        cid = fragment.flight.cid
        if self._responder.has_completed(cid):
            self._outputs += self._responder.repeat_message4(cid, received_bytes, source, now)
            return
        if not self._responder.expects_message3(cid):
            raise Dropped(DropReason.UNKNOWN_CONNECTION)
        self._responder.credit(cid, received_bytes, source)
        message = self._known.add(fragment, source, (cid, source), now)
        if message is None:
            return
        self._accept(self._responder.open_message3(cid, message, source, now), now)

    def _accept(self, opened: OpenedMessage3, now: float) -> None:
        self._refuse_superseded(opened, now)
        transmits, established = self._responder.accept(opened, now)
        self._known.forget(opened.half_open.cid)
        # Before M4: whoever has M4 may count on the session being installed here.
        self._establish(opened.peer, established, opened.half_open)
        self._outputs += transmits

    def _refuse_superseded(self, opened: OpenedMessage3, now: float) -> None:
        """When both sides begin at once, the attempt of the lower PeerID goes on, unless it has got nowhere yet."""
        if self._responder.is_outdated(opened):
            self._responder.refuse(opened, now)
            raise Dropped(DropReason.SUPERSEDED)
        attempt = self._attempts.get(opened.peer.peer_id)
        if attempt is None or not attempt.message2_verified or opened.peer.peer_id < self._own.identity.peer_id:
            return
        if not attempt.has_been_ignored(now):
            self._outputs += attempt.insist(now)
            raise Dropped(DropReason.SUPERSEDED)

    def _establish(self, peer: AllowedPeer, established: SessionEstablished, half_open: HalfOpen | None = None) -> None:
        """`half_open`: the handshake that the peer began."""
        self._drop_attempt(peer.peer_id)
        self._responder.settle(peer, half_open)
        self._outputs.append(established)

    def _receive_request(self, request: MissingRequest, received_bytes: int, source: Endpoint, now: float) -> None:
        if request.flight.message == 2:
            self._outputs += self._responder.resend(request, received_bytes, source)
            return
        attempt = self._attempts_by_cid.get(request.flight.cid)
        if attempt is None:
            raise Dropped(DropReason.UNKNOWN_CONNECTION)
        attempt.credit(source, received_bytes)
        self._outputs += attempt.resend(request, now)

    def _receive_cookie(self, reply: CookieReply, source: Endpoint, now: float) -> None:
        attempt = self._attempts_by_cid.get(reply.cid)
        if attempt is None:
            raise Dropped(DropReason.UNKNOWN_CONNECTION)
        self._outputs += attempt.receive_cookie(reply, source, now)

    def _ask(self, request: MissingRequest, source: Endpoint) -> Iterable[Transmit]:
        if request.flight.message == 3:
            return self._responder.ask(request, source)
        attempt = self._attempts_by_cid.get(request.flight.cid)
        return [] if attempt is None else attempt.ask(request, source)

    def _count(self, error: DecodeError | Dropped) -> None:
        self._drops[error.reason if isinstance(error, Dropped) else DropReason.MALFORMED] += 1

    def _watch_load(self) -> None:
        if self._responder.is_busy is not self._demands_cookies:
            self._demands_cookies = self._responder.is_busy
            self._outputs.append(CookiesDemanded(self._demands_cookies))

    def _drop_attempt(self, peer: PeerID) -> bool:
        attempt = self._attempts.pop(peer, None)
        if attempt is None:
            return False
        del self._attempts_by_cid[attempt.cid]
        self._known.forget(attempt.cid)
        return True
