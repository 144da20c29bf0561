"""Opens paths through NATs: both sides probe at once what they know of each other. Spec: docs/spec/paths.md, section 6.

The probes are those of a session (`probe_datagram`), keyed by the token of the call that brought the two together:
whoever passed the call on could forge them, and would gain an address that the session then does not verify.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from enum import Enum

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.events import PathFound, PortLearnt, PortsReleased, PortsWanted, PunchEnded
from shadowmesh.paths.nat_behaviour import NatBehaviour
from shadowmesh.paths.probe_datagram import TXID_BYTES, BadMac, ProbeDatagram, ProbeKeys
from shadowmesh.paths.punch import Punch
from shadowmesh.paths.punch_report import PunchReport
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.open_ids import CONTROL_ID, IdTable, OpenIds
from shadowmesh.wire.transmit import Transmit

MAX_PUNCHES = 64  # at a time, as many as attempts to connect
MAX_TOKENS = 2  # of one peer: both called each other at the same moment
MAX_CANDIDATES = 8  # as many as a call holds
MAX_REPORTS = 1000  # one a trusted peer
MAX_OUTSTANDING = 2048  # all probes of one punch: 8 targets, held ports three times, the spray

PuncherOutput = Transmit | PathFound | PortLearnt | PortsWanted | PortsReleased | PunchEnded


class PunchDrop(Enum):
    MALFORMED = "punch: malformed"
    UNKNOWN = "punch: unknown token"
    BAD_MAC = "punch: bad mac"
    REPLAYED = "punch: replayed"
    UNASKED = "punch: reply to nothing"
    FOREIGN_PORT = "punch: through a port that was closed, or opened for another peer"


class Puncher:
    """After each call: drain `poll()`, then read `next_timeout()`."""

    def __init__(self, own: PeerID, *, entropy: Entropy, ids: OpenIds) -> None:
        self._own = own
        self._entropy = entropy
        self._punches: dict[PeerID, Punch] = {}
        self._by_tag: IdTable[Punch] = IdTable(ids)
        self._reports: dict[PeerID, PunchReport] = {}
        self._holder: PeerID | None = None  # one punch at a time holds ports
        self._out: deque[PuncherOutput] = deque()
        self._drops: Counter[str] = Counter()

    def start(
        self,
        peer: PeerID,
        token: bytes,
        candidates: Sequence[Candidate],
        *,
        own_nat: NatBehaviour,
        peer_nat: NatBehaviour,
        now: float,
    ) -> None:
        """Both sides have the token and each other's candidates. A second call for a peer adds to what goes on."""
        self.handle_timeout(now)
        punch = self._punches.get(peer)
        if punch is None:
            if len(self._punches) >= MAX_PUNCHES:
                self._end(next(iter(self._punches.values())))
            punch = self._punches[peer] = Punch(peer, own_nat, peer_nat, now)
        if punch.nats_are(own_nat, peer_nat, now):
            self._release(punch)
        self._add_keys(punch, punch_keys(token, self._own, peer))
        punch.add(candidates[:MAX_CANDIDATES], now)
        self.handle_timeout(now)

    def stop(self, peer: PeerID) -> None:
        """There is a session, or nobody wants one any more. Without a word."""
        punch = self._punches.get(peer)
        if punch is not None:
            self._forget(punch)

    def is_punching(self, peer: PeerID) -> bool:
        return peer in self._punches

    def report(self, peer: PeerID) -> PunchReport | None:
        """Of the attempt that goes on, or of the last one."""
        punch = self._punches.get(peer)
        return self._reports.get(peer) if punch is None else punch.report()

    def takes(self, data: bytes) -> bool:
        """Whether a probe, or the reply to one, names the token of a call."""
        return data[CONTROL_ID] in self._by_tag

    def ports_opened(self, peer: PeerID, ports: Sequence[int], now: float) -> None:
        """The answer to PortsWanted; fewer, or none, when the system does not give as many."""
        punch = self._punches.get(peer)
        if punch is None or not punch.waits_for_ports:
            if ports:
                self._out.append(PortsReleased(tuple(ports)))
            return
        punch.waits_for_ports = False
        punch.held_ports += tuple(ports)
        if not punch.held_ports:
            self._release(punch)
        self.handle_timeout(now)

    def receive_datagram(self, data: bytes, source: Endpoint, via: int, now: float) -> None:
        try:
            datagram = ProbeDatagram.decode(data)
            punch = self._by_tag.get(datagram.tag)
            if punch is None:
                self._drop(PunchDrop.UNKNOWN)
                return
            keys = punch.keys[datagram.tag]
            ProbeDatagram.check_mac(data, keys)
        except DecodeError:
            self._drop(PunchDrop.MALFORMED)
        except BadMac:
            self._drop(PunchDrop.BAD_MAC)
        else:
            if via and self._is_foreign(via, punch):
                self._drop(PunchDrop.FOREIGN_PORT)
            elif datagram.is_reply:
                self._receive_reply(punch, datagram, source, via, now)
            else:
                self._receive_probe(punch, datagram, keys, source, via, now)

    def handle_timeout(self, now: float) -> None:
        for punch in list(self._punches.values()):
            if now >= punch.give_up_at:
                self._end(punch)
            else:
                self._send_due(punch, now)

    def next_timeout(self) -> float | None:
        return min((punch.next_timeout() for punch in self._punches.values()), default=None)

    def poll(self) -> PuncherOutput | None:
        return self._out.popleft() if self._out else None

    @property
    def drops(self) -> Mapping[str, int]:
        return self._drops

    def _receive_probe(
        self, punch: Punch, probe: ProbeDatagram, keys: ProbeKeys, source: Endpoint, via: int, now: float
    ) -> None:
        if not punch.window.accept(probe.sent_at_us):
            self._drop(PunchDrop.REPLAYED)
            return
        reply = ProbeDatagram(probe.tag, probe.txid, probe.sent_at_us, observed=source)
        self._out.append(Transmit(reply.encode(keys), source, via))
        if via:
            # Only through this port does the peer's NAT let us answer.
            if punch.hand_over(via):
                self._out.append(PortLearnt(punch.peer, source, via))
            self._probe(punch, source, via, now)
        elif punch.learn(source, now):
            self._send_due(punch, now)

    def _receive_reply(self, punch: Punch, reply: ProbeDatagram, source: Endpoint, via: int, now: float) -> None:
        asked = punch.outstanding.get(reply.txid)
        if asked is None or asked[:2] != (source, via):
            self._drop(PunchDrop.UNASKED)
            return
        _, _, sent_at = punch.outstanding.pop(reply.txid)
        target = punch.targets.get(source)
        if target is not None:
            target.answered = True
        rtt_s = max(0.0, now - sent_at)
        punch.answers.setdefault(source, rtt_s)
        punch.found = True
        if via:
            punch.handed_over.add(via)
        self._release(punch)
        kind = CandidateKind.PEER_REFLEXIVE if target is None else target.kind
        self._out.append(PathFound(punch.peer, source, via, rtt_s, kind))

    def _send_due(self, punch: Punch, now: float) -> None:
        for target in punch.targets.values():
            if target.is_due(now):
                target.skip_to(now)
                self._probe(punch, target.endpoint, 0, now)
        spray_at = punch.spray_due_at()
        if spray_at is not None and now >= spray_at:
            for endpoint in punch.next_spray(self._entropy, now):
                self._probe(punch, endpoint, 0, now)
        hold_at = punch.hold_due_at()
        if hold_at is not None and now >= hold_at:
            self._hold_ports(punch, now)

    def _hold_ports(self, punch: Punch, now: float) -> None:
        if punch.ports_to_ask and self._holder in (None, punch.peer):
            self._holder = punch.peer
            punch.waits_for_ports = True
            self._out.append(PortsWanted(punch.peer, punch.ports_to_ask))
            punch.ports_asked += punch.ports_to_ask
            return
        for port in punch.held_ports:
            for endpoint in punch.hold_targets():
                self._probe(punch, endpoint, port, now)
        punch.skip_holds(now)  # while another punch holds ports: perhaps not any more at the next look

    def _probe(self, punch: Punch, destination: Endpoint, via: int, now: float) -> None:
        tag, keys = next(reversed(punch.keys.items()))
        if len(punch.outstanding) >= MAX_OUTSTANDING:
            del punch.outstanding[next(iter(punch.outstanding))]
        txid = self._entropy(TXID_BYTES)
        punch.outstanding[txid] = (destination, via, now)
        punch.probes_sent += 1
        self._out.append(Transmit(ProbeDatagram(tag, txid, punch.stamp(now)).encode(keys), destination, via))

    def _is_foreign(self, via: int, punch: Punch) -> bool:
        """What comes through it was on its way when we closed the port, or meets one that another punch will close."""
        holder = None if self._holder is None else self._punches[self._holder]
        return via in punch.released_ports or (holder not in (None, punch) and via in holder.held_ports)

    def _release(self, punch: Punch) -> None:
        """All ports but those that the mesh has taken over."""
        punch.waits_for_ports = False
        if self._holder == punch.peer:
            self._holder = None
        ports = tuple(port for port in punch.held_ports if port not in punch.handed_over)
        punch.held_ports = ()
        punch.released_ports |= set(ports)
        if ports:
            self._out.append(PortsReleased(ports))

    def _add_keys(self, punch: Punch, keys: ProbeKeys) -> None:
        """They are sent with from now on."""
        punch.keys.pop(keys.tag, None)
        while len(punch.keys) >= MAX_TOKENS:
            oldest = next(iter(punch.keys))
            del punch.keys[oldest], self._by_tag[oldest]
        punch.keys[keys.tag] = keys
        self._by_tag[keys.tag] = punch

    def _end(self, punch: Punch) -> None:
        self._out.append(PunchEnded(punch.peer, punch.found, punch.role, punch.probes_sent))
        self._forget(punch)

    def _forget(self, punch: Punch) -> None:
        self._release(punch)
        self._reports.pop(punch.peer, None)
        if len(self._reports) >= MAX_REPORTS:
            del self._reports[next(iter(self._reports))]
        self._reports[punch.peer] = punch.report()
        del self._punches[punch.peer]
        for tag in punch.keys:
            del self._by_tag[tag]

    def _drop(self, reason: PunchDrop) -> None:
        self._drops[reason.value] += 1


def punch_keys(token: bytes, own: PeerID, peer: PeerID) -> ProbeKeys:
    """Of one pair: a token that somebody uses for two pairs gives two tags."""
    first, second = sorted((own.raw, peer.raw))
    probe_key = hashlib.sha256(b"shadowmesh/v1/punch" + token + first + second).digest()
    return ProbeKeys.derive(probe_key, own, peer)
