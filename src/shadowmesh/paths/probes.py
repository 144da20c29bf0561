"""Path probes: whether each peer is still there, how far away, and where. Spec: docs/spec/paths.md, section 5."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.events import PathLost, PathMoved, PathNarrow, PathSilent, PingDone, ProbeEvent
from shadowmesh.paths.keepalive import Keepalive
from shadowmesh.paths.path_choice import PathChoice
from shadowmesh.paths.path_width import Look
from shadowmesh.paths.probe_datagram import TXID_BYTES, BadMac, ProbeDatagram, ProbeKeys
from shadowmesh.paths.probed_session import (
    ANSWER_S,
    MAX_ALTERNATES,
    MAX_OUTSTANDING,
    MAX_SILENT_ALTERNATES,
    PING_TIMEOUT_S,
    PROBE_OFFSETS_S,
    Outstanding,
    ProbedSession,
)
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.open_ids import IdTable, OpenIds
from shadowmesh.wire.transmit import Transmit

SEEN_INTERVAL_S = 0.25  # between probes of an address that packets of the peer come from
MAX_PINGS = 16  # outstanding for one peer


class ProbeDrop(Enum):
    MALFORMED = "probe: malformed"
    UNKNOWN_SESSION = "probe: unknown session"
    BAD_MAC = "probe: bad mac"
    REPLAYED = "probe: replayed"
    UNASKED = "probe: reply to nothing"
    TOO_MANY_PINGS = "probe: too many pings at once"


@dataclass(frozen=True, slots=True)
class ProbeStatus:
    path: Endpoint
    via: int  # the local port that leads there
    rtt_s: float | None
    probed_at: float | None
    silent: bool = False  # what was asked since is not answered
    narrow: bool = False  # full packets are lost there


@dataclass(frozen=True, slots=True)
class ProbedPath:
    path: Endpoint
    rtt_s: float | None  # None: it has not answered


class PathProber:
    """Probes every peer with a session. After each call: drain `poll()`, then read `next_timeout()`."""

    def __init__(self, own: PeerID, *, entropy: Entropy, ids: OpenIds) -> None:
        self._own = own
        self._entropy = entropy
        self._sessions: dict[PeerID, ProbedSession] = {}
        self._by_tag: IdTable[ProbedSession] = IdTable(ids)
        self._out: deque[Transmit | ProbeEvent] = deque()
        self._drops: Counter[str] = Counter()

    def start(
        self, peer: PeerID, probe_key: bytes, path: Endpoint, now: float, *, via: int = 0, delay_s: float = 0.0
    ) -> None:
        """A session was established, or replaced. The first probe leaves after `delay_s`."""
        before = self._sessions.get(peer)
        self.stop(peer)
        keys = ProbeKeys.derive(probe_key, self._own, peer)
        session = ProbedSession(peer, keys, path, PathChoice(now + delay_s), Keepalive(now), via)
        session.begin_round(now + delay_s)
        if before is not None:
            session.width = before.width
        session.width.restart(path, now + delay_s)
        self._sessions[peer] = session
        self._by_tag[session.keys.tag] = session
        self.handle_timeout(now)

    def stop(self, peer: PeerID) -> None:
        """Outstanding pings are not answered any more."""
        session = self._sessions.pop(peer, None)
        if session is not None:
            del self._by_tag[session.keys.tag]

    def set_alternates(self, peer: PeerID, endpoints: Sequence[Endpoint], now: float) -> None:
        """Other endpoints of the peer: the fastest takes over, the first ones are tried when the path is silent."""
        session = self._sessions.get(peer)
        if session is None:
            return
        alternates = tuple(other for other in endpoints if other != session.path)[:MAX_ALTERNATES]
        if alternates != session.alternates:
            session.alternates = alternates
            session.choice.restart(now)

    def path_found(self, peer: PeerID, path: Endpoint, now: float, via: int = 0) -> None:
        """Somebody who knows the token of a call answers there. A probe of the session tells whether it is the peer."""
        session = self._sessions.get(peer)
        if session is None:
            return
        others = [other for other in session.alternates if other != path]
        self.set_alternates(peer, [path, *others], now)
        is_through_another_port = path == session.path and via != session.via
        if is_through_another_port:
            session.found_via = via
        if session.silent or is_through_another_port:
            self._send(session, path, now, via=via, compares=not session.silent)

    def passed(self, peer: PeerID, now: float) -> None:
        """Packets of the tunnel have used the path, either way."""
        session = self._sessions.get(peer)
        if session is not None:
            session.keepalive.passed(now)

    def seen_at(self, peer: PeerID, source: Endpoint, now: float) -> None:
        """Authentic packets come from there. It is probed, and the path moves there when that is answered."""
        session = self._sessions.get(peer)
        if session is None or source == session.path or session.is_late(source, now):
            return
        session.peer_source, session.peer_via = source, None
        asked = (entry.sent_at for entry in session.outstanding.values() if entry.destination == source)
        is_asked = any(now < sent_at + SEEN_INTERVAL_S for sent_at in asked)
        if not is_asked:
            self._send(session, source, now)

    def heard(self, peer: PeerID, now: float) -> None:
        """Something else has shown that the peer lives, such as a WireGuard handshake."""
        session = self._sessions.get(peer)
        if session is not None:
            session.keepalive.passed(now)
            session.heard(now, self._entropy)

    def probe_all(self, now: float) -> None:
        """Our own addresses changed: find out now which paths still work."""
        for session in self._sessions.values():
            session.choice.restart(now)
            session.keepalive.restart(now)
            session.width.restart(session.path, now)
            session.begin_round(now, suspect=True)
        self.handle_timeout(now)

    def probe(self, peer: PeerID, now: float) -> None:
        """Find out now whether this peer is still there, unless that is being asked already."""
        session = self._sessions.get(peer)
        if session is not None and not session.silent:
            session.begin_round(now, suspect=True)
            self.handle_timeout(now)

    def ping(self, peer: PeerID, sequence: int, now: float) -> None:
        """Answered by PingDone. Raises KeyError when there is no session."""
        session = self._sessions[peer]
        if sum(entry.sequence is not None for entry in session.outstanding.values()) >= MAX_PINGS:
            self._drops[ProbeDrop.TOO_MANY_PINGS.value] += 1
            self._out.append(PingDone(peer, sequence, session.path, None))
            return
        self._send(session, session.path, now, sequence, via=session.via)

    def status(self, peer: PeerID) -> ProbeStatus | None:
        session = self._sessions.get(peer)
        if session is None:
            return None
        narrow = session.width.is_narrow
        return ProbeStatus(session.path, session.via, session.rtt_s, session.probed_at, session.silent, narrow)

    def alternates(self, peer: PeerID) -> tuple[ProbedPath, ...]:
        """The other ways to the peer, and how far it is there, if they have answered."""
        session = self._sessions.get(peer)
        if session is None:
            return ()
        others = (each for each in session.alternates if each != session.path)
        return tuple(ProbedPath(each, session.choice.rtt_s(each)) for each in others)

    def receive_datagram(self, data: bytes, source: Endpoint, now: float, via: int = 0) -> None:
        """`via`: the local port that it came to, 0: the main one."""
        try:
            datagram = ProbeDatagram.decode(data)
            session = self._by_tag.get(datagram.tag)
            if session is None:
                self._drop(ProbeDrop.UNKNOWN_SESSION)
                return
            ProbeDatagram.check_mac(data, session.keys)
        except DecodeError:
            self._drop(ProbeDrop.MALFORMED)
        except BadMac:
            self._drop(ProbeDrop.BAD_MAC)
        else:
            if datagram.is_reply:
                self._receive_reply(session, datagram, source, via, now)
            else:
                self._receive_probe(session, datagram, source, via, now)

    def handle_timeout(self, now: float) -> None:
        for session in list(self._sessions.values()):
            self._fail_pings(session, now)
            self._send_due(session, now)
            self._evaluate(session, now)
            self._look_at_width(session, now)

    def next_timeout(self) -> float | None:
        return min((session.next_timeout() for session in self._sessions.values()), default=None)

    def poll(self) -> Transmit | ProbeEvent | None:
        return self._out.popleft() if self._out else None

    @property
    def drops(self) -> Mapping[str, int]:
        return self._drops

    def _receive_probe(
        self, session: ProbedSession, probe: ProbeDatagram, source: Endpoint, via: int, now: float
    ) -> None:
        if not session.window.accept(probe.sent_at_us):
            self._drop(ProbeDrop.REPLAYED)
            return
        if session.is_path(source, via):
            session.keepalive.passed(now)
        reply = ProbeDatagram(probe.tag, probe.txid, probe.sent_at_us, observed=source)
        self._out.append(Transmit(reply.encode(session.keys), source, via))
        if (
            session.silent or session.rtt_s is not None
        ):  # our own first probe is never spared: people want to see its time
            session.heard(now, self._entropy)
        # Somebody on the path could have sent the peer's probe on from elsewhere: only an answer to our own probe from
        # there moves the path (as RFC 9000 §9.3 has it). We ask with each probe of the peer until it is answered. Its
        # packets do not come from where a probe only compares: nothing moves then, unless we have no path.
        if session.is_late(source, now):
            return
        if not probe.compares:
            session.peer_source, session.peer_via = source, via
        if not session.is_path(source, via) and (session.silent or not probe.compares):
            self._send(session, source, now, via=via)

    def _receive_reply(
        self, session: ProbedSession, reply: ProbeDatagram, source: Endpoint, via: int, now: float
    ) -> None:
        asked = session.outstanding.pop(reply.txid, None)
        if asked is None:
            self._drop(ProbeDrop.UNASKED)
            return
        was_silent = session.silent
        is_from_path = session.is_path(asked.destination, via)
        if is_from_path:
            session.keepalive.answered(asked.sent_at, now)
        session.heard(now, self._entropy)
        rtt_s = max(0.0, now - asked.sent_at)
        if asked.sequence is not None:
            self._out.append(PingDone(session.peer, asked.sequence, asked.destination, rtt_s))
        if is_from_path:
            if asked.is_full_size:
                session.width.full_size_answered(now)
            else:
                session.width.small_one_answered(asked.sent_at)
        is_from_where_asked = source == asked.destination and asked.via in (None, via)
        if is_from_where_asked and not asked.is_full_size:
            session.choice.answered(source, rtt_s, now, via)
        if not is_from_path:
            moves = is_from_where_asked and (was_silent or session.is_used_by_peer(source, via))
            if not moves:
                self._choose(session, now)
                return
            self._move(session, source, via, now)
        session.rtt_s = rtt_s
        session.probed_at = now
        self._choose(session, now)

    def _choose(self, session: ProbedSession, now: float) -> None:
        better = session.choice.better_than(session.path, now)
        if better is not None:
            self._move(session, better, session.choice.via(better), now)
            session.rtt_s = session.choice.rtt_s(better)
            # Which tells the peer, also while we have no packets for it.
            self._send(session, better, now, via=session.via)

    def _move(self, session: ProbedSession, path: Endpoint, via: int, now: float) -> None:
        session.move(path, via, now)
        self._out.append(PathMoved(session.peer, path, via))

    def _fail_pings(self, session: ProbedSession, now: float) -> None:
        for txid, entry in list(session.outstanding.items()):
            if entry.sequence is not None and now >= entry.sent_at + PING_TIMEOUT_S:
                del session.outstanding[txid]
                self._out.append(PingDone(session.peer, entry.sequence, entry.destination, None))

    def _send_due(self, session: ProbedSession, now: float) -> None:
        if now < session.due_at:
            return
        if session.round_index == len(PROBE_OFFSETS_S):
            self.stop(session.peer)
            self._out.append(PathLost(session.peer, session.path))
            return
        # A round that is late (the machine slept) goes on from here: what was not asked can't count as unanswered.
        session.round_started_at = now - PROBE_OFFSETS_S[session.round_index]
        if session.round_index == 0:
            session.keepalive.asks(now)
        elif session.misses_path:
            session.keepalive.missed()
            self._out.append(PathSilent(session.peer))
        self._send(session, session.path, now, via=session.via)
        if session.silent:
            if session.found_via is not None:
                self._send(session, session.path, now, via=session.found_via)
            for alternate in session.alternates[:MAX_SILENT_ALTERNATES]:
                self._send(session, alternate, now)
        session.round_index += 1

    def _evaluate(self, session: ProbedSession, now: float) -> None:
        """Probes all paths, to compare them."""
        due_at = session.choice.due_at
        if due_at is None or now < due_at or session.peer not in self._sessions:
            return
        session.choice.evaluate(now)
        others = [
            other for other in session.alternates if other != session.path and session.choice.worth_probing(other)
        ]
        if others:
            self._send(session, session.path, now, via=session.via)
        for endpoint in others:
            self._send(session, endpoint, now, compares=True)

    def _look_at_width(self, session: ProbedSession, now: float) -> None:
        if now < session.width.due_at or session.peer not in self._sessions:
            return
        match session.width.look(now):
            case Look.PROBE:
                self._send(session, session.path, now, via=session.via)
                self._send(session, session.path, now, via=session.via, full_size=True)
            case Look.REMIND:
                self._out.append(PathNarrow(session.peer))
            case Look.REST:
                pass

    def _send(
        self,
        session: ProbedSession,
        destination: Endpoint,
        now: float,
        sequence: int | None = None,
        *,
        via: int | None = None,
        compares: bool = False,
        full_size: bool = False,
    ) -> None:
        for txid, entry in list(session.outstanding.items()):
            if entry.sequence is None and now >= entry.sent_at + ANSWER_S:
                del session.outstanding[txid]
        if len(session.outstanding) >= MAX_OUTSTANDING:
            oldest = next(txid for txid, entry in session.outstanding.items() if entry.sequence is None)
            del session.outstanding[oldest]
        txid = self._entropy(TXID_BYTES)
        session.outstanding[txid] = Outstanding(now, destination, via, sequence, full_size)
        probe = ProbeDatagram(session.keys.tag, txid, session.stamp(now), compares=compares)
        self._out.append(Transmit(probe.encode(session.keys, full_size=full_size), destination, via))

    def _drop(self, reason: ProbeDrop) -> None:
        self._drops[reason.value] += 1
