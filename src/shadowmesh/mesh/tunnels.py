"""Established sessions: what the engine has installed, and whether the peers behind it are still there.

Spec: docs/spec/mesh.md, section 4.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shadowmesh.identity.names import PeerID
from shadowmesh.mesh.answer_watch import AnswerWatch
from shadowmesh.mesh.outputs import InstallPeer, PathIsNarrow, Ponged, RemovePeer, SetPath
from shadowmesh.mesh.ratchets import Ratchets
from shadowmesh.paths.events import PathLost, PathMoved, PathNarrow, PathSilent, PingDone
from shadowmesh.paths.probes import PathProber, ProbedPath, ProbeStatus
from shadowmesh.session.cipher import Cipher
from shadowmesh.session.events import PeerAuthenticated, Role, SessionEstablished
from shadowmesh.session.ratchet import PskChanged
from shadowmesh.session.ratchet_messages import is_ratchet_datagram
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.first_byte import ControlType
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

# A fresh signed handshake a day: what leaks of one session opens a day of traffic at most. The initiator comes first,
# the responder only when the initiator did not.
SESSION_LIFETIME_S = {Role.INITIATOR: 24 * 3600.0, Role.RESPONDER: 24.5 * 3600.0}
_PROBE_TYPES = (bytes([ControlType.PROBE]), bytes([ControlType.PROBE_REPLY]))
_RETRY_RENEWAL_S = 3600.0
# The initiator knows that both have the session; the responder gives message 4 the time to arrive before its probe.
_FIRST_PROBE_DELAY_S = {Role.INITIATOR: 0.0, Role.RESPONDER: 0.3}


class KeyInUse(Exception):
    """The peer claims the WireGuard key of somebody else, whose tunnel it would replace in the engine."""


@dataclass(frozen=True, slots=True)
class TunnelLost:
    peer: PeerID
    path: Endpoint


@dataclass(frozen=True, slots=True)
class TunnelSilent:
    """The peer does not answer: another path is to be looked for, while the session goes on."""

    peer: PeerID


@dataclass(frozen=True, slots=True)
class TunnelMoved:
    peer: PeerID
    path: Endpoint
    via: int  # the local port that leads there


@dataclass(frozen=True, slots=True)
class SessionOld:
    """Time for a fresh handshake on this path."""

    peer: PeerID
    path: Endpoint
    forgotten: bool = False  # the peer has probably restarted: it answers neither packets nor a probe


@dataclass(slots=True)
class _Tunnel:
    peer: PeerID
    wireguard_key: bytes
    role: Role
    cipher: Cipher
    handshake_s: float
    renew_at: float
    answers: AnswerWatch

    def install(self, psk: bytes, path: Endpoint, via: int) -> InstallPeer:
        """The initiator begins WireGuard's handshake: when it has the PSK, the responder is ready."""
        prefixes = _prefixes(self.peer)
        return InstallPeer(self.wireguard_key, psk, path, prefixes, self.role is Role.INITIATOR, self.cipher, via)


TunnelOutput = (
    Transmit
    | InstallPeer
    | SetPath
    | PathIsNarrow
    | RemovePeer
    | Ponged
    | TunnelSilent
    | TunnelLost
    | TunnelMoved
    | SessionOld
)


class Tunnels:
    """One tunnel a peer. After each call: drain `poll()`, then read `next_timeout()`."""

    def __init__(self, own: PeerID, own_wireguard_key: bytes, *, entropy: Entropy, ids: OpenIds) -> None:
        self._own_wireguard_key = own_wireguard_key
        self._prober = PathProber(own, entropy=entropy, ids=ids)
        self._ratchets = Ratchets(entropy=entropy, ids=ids)
        self._tunnels: dict[PeerID, _Tunnel] = {}
        self._by_key: dict[bytes, PeerID] = {}
        self._prepared: dict[PeerID, bytes] = {}  # WireGuard keys
        self._out: deque[TunnelOutput] = deque()

    def __contains__(self, peer: PeerID) -> bool:
        return peer in self._tunnels

    def wireguard_key(self, peer: PeerID) -> bytes | None:
        tunnel = self._tunnels.get(peer)
        return None if tunnel is None else tunnel.wireguard_key

    def handshake_s(self, peer: PeerID) -> float:
        """Raises KeyError."""
        return self._tunnels[peer].handshake_s

    def cipher(self, peer: PeerID) -> Cipher:
        """Raises KeyError."""
        return self._tunnels[peer].cipher

    def status(self, peer: PeerID) -> ProbeStatus | None:
        return self._prober.status(peer)

    def peers(self) -> tuple[PeerID, ...]:
        return tuple(self._tunnels)

    def alternates(self, peer: PeerID) -> tuple[ProbedPath, ...]:
        """The other ways to a peer that has a tunnel."""
        return self._prober.alternates(peer)

    def paths(self) -> set[tuple[Endpoint, int]]:
        """Where all peers are at present, each with the local port that leads there."""
        statuses = (self._prober.status(peer) for peer in self._tunnels)
        return {(status.path, status.via) for status in statuses if status is not None}

    def prepare(self, peer: PeerAuthenticated, via: int = 0) -> None:
        """Lets WireGuard's handshake travel behind M3, a round trip earlier. Nothing for who has a tunnel already.

        `via`: the local port that leads to the peer, 0: the main one.
        """
        key = peer.wireguard_key
        if peer.peer in self._tunnels or self._is_taken(key, peer.peer):
            return
        self.abandon(peer.peer)
        self._prepared[peer.peer] = key
        self._out.append(InstallPeer(key, peer.psk, peer.endpoint, _prefixes(peer.peer), True, peer.cipher, via))

    def abandon(self, peer: PeerID) -> None:
        """What was prepared leads to no session."""
        key = self._prepared.pop(peer, None)
        if key is not None:
            self._out.append(RemovePeer(key))

    def install(self, session: SessionEstablished, alternates: Sequence[Endpoint], now: float, via: int = 0) -> None:
        """Replaces the tunnel that the peer may have. `via` as of `prepare`.

        Raises KeyInUse and installs nothing.
        """
        key = session.wireguard_key
        if self._is_taken(key, session.peer):
            raise KeyInUse
        if self._prepared.get(session.peer) == key:
            del self._prepared[session.peer]
        self.abandon(session.peer)
        before = self._tunnels.get(session.peer)
        if before is not None and before.wireguard_key != key:
            self._forget(before)
        renew_at = now + SESSION_LIFETIME_S[session.role]
        answers = AnswerWatch(now) if before is None else before.answers
        answers.heard(now)
        tunnel = _Tunnel(session.peer, key, session.role, session.cipher, session.took_s, renew_at, answers)
        self._tunnels[session.peer] = tunnel
        self._by_key[key] = session.peer
        self._out.append(tunnel.install(session.psk, session.endpoint, via))
        self._ratchets.start(session, now)
        delay_s = _FIRST_PROBE_DELAY_S[session.role]
        self._prober.start(session.peer, session.probe_key, session.endpoint, now, via=via, delay_s=delay_s)
        self._prober.set_alternates(session.peer, alternates, now)
        self._drain_prober()

    def remove(self, peer: PeerID) -> bool:
        """False when there was none."""
        self.abandon(peer)
        tunnel = self._tunnels.pop(peer, None)
        if tunnel is None:
            return False
        self._prober.stop(peer)
        self._ratchets.stop(peer)
        self._forget(tunnel)
        return True

    def remove_all(self) -> None:
        for peer in [*self._tunnels, *self._prepared]:
            self.remove(peer)

    def wireguard_handshake(self, wireguard_key: bytes, now: float) -> None:
        """It proves that the peer lives."""
        peer = self._by_key.get(wireguard_key)
        if peer is not None:
            self._prober.heard(peer, now)
            self._tunnels[peer].answers.heard(now)

    def roamed(self, wireguard_key: bytes, path: Endpoint, now: float) -> None:
        """Its packets come from there, not from where its path leads to: it may have moved, or prefer another way."""
        peer = self._by_key.get(wireguard_key)
        if peer is not None:
            self._tunnels[peer].answers.heard(now)
            self._prober.seen_at(peer, path, now)
            self._drain_prober()

    def traffic(self, wireguard_key: bytes, rx_bytes: int, tx_bytes: int, now: float) -> None:
        """The engine's counters of a peer."""
        peer = self._by_key.get(wireguard_key)
        if peer is not None:
            self._prober.passed(peer, now)
            self._ratchets.traffic(peer, rx_bytes, tx_bytes, now)
            self._drain_ratchets()
            status = self._prober.status(peer)
            rtt_s = None if status is None else status.rtt_s
            if self._tunnels[peer].answers.traffic(rx_bytes, tx_bytes, now, rtt_s=rtt_s):
                self._prober.probe(peer, now)
                self._drain_prober()

    def renew(self, peer: PeerID, now: float) -> None:
        """What the session was made with holds no longer: a fresh handshake, while the old session goes on."""
        tunnel = self._tunnels.get(peer)
        if tunnel is not None:
            tunnel.renew_at = now
            self.handle_timeout(now)

    def network_changed(self, now: float) -> None:
        self._prober.probe_all(now)
        self._drain_prober()

    def woke(self) -> None:
        """After a long sleep the peers have forgotten our sessions, or have other packet keys than we have."""
        for tunnel in self._tunnels.values():
            status = self._prober.status(tunnel.peer)
            if status is not None:
                self._out.append(SessionOld(tunnel.peer, status.path, forgotten=True))

    def learnt(self, peer: PeerID, endpoints: Sequence[Endpoint], now: float) -> None:
        """All where the peer may be, the likeliest first."""
        self._prober.set_alternates(peer, endpoints, now)
        self._drain_prober()

    def path_found(self, peer: PeerID, path: Endpoint, now: float, via: int = 0) -> None:
        """A punch has opened it: probes of the session tell whether that passes there, or the peer has lost it."""
        self._prober.path_found(peer, path, now, via)
        status = self._prober.status(peer)
        if status is not None:
            self.probe(peer, now)
            self._tunnels[peer].answers.ask(now, status.rtt_s or 0.0)

    def is_silent(self, peer: PeerID) -> bool:
        status = self._prober.status(peer)
        return status is not None and status.silent

    def unprobed_since(self, at: float) -> bool:
        statuses = (self._prober.status(peer) for peer in self._tunnels)
        return any(status is not None and (status.probed_at or 0.0) < at for status in statuses)

    def probe_all(self, now: float) -> None:
        for peer in self._tunnels:
            self._prober.probe(peer, now)
        self._drain_prober()

    def probe(self, peer: PeerID, now: float) -> None:
        """Find out now whether it is there."""
        self._prober.probe(peer, now)
        self._drain_prober()

    def ping(self, peer: PeerID, sequence: int, now: float) -> None:
        """Raises KeyError when there is no tunnel."""
        self._prober.ping(peer, sequence, now)
        self._drain_prober()

    @staticmethod
    def takes(data: bytes) -> bool:
        """Whether a datagram is a probe, or of a ratchet."""
        return data[:1] in _PROBE_TYPES or is_ratchet_datagram(data)

    def receive_datagram(self, data: bytes, source: Endpoint, now: float, via: int = 0) -> None:
        if is_ratchet_datagram(data):
            self._ratchets.receive_datagram(data, source, now)
            self._drain_ratchets()
        else:
            self._prober.receive_datagram(data, source, now, via)
            self._drain_prober()

    def handle_timeout(self, now: float) -> None:
        self._prober.handle_timeout(now)
        self._drain_prober()
        self._ratchets.handle_timeout(now)
        self._drain_ratchets()
        for tunnel in self._tunnels.values():
            status = self._prober.status(tunnel.peer)
            if status is None:
                continue
            if now >= tunnel.renew_at:
                tunnel.renew_at = now + _RETRY_RENEWAL_S
                self._out.append(SessionOld(tunnel.peer, status.path))
            if tunnel.answers.broke_off(now):
                self.probe(tunnel.peer, now)
            if now >= tunnel.answers.due_at and tunnel.answers.judge(status.probed_at, now):
                self._out.append(SessionOld(tunnel.peer, status.path, forgotten=True))

    def next_timeout(self) -> float | None:
        deadlines: list[float | None] = [
            min(tunnel.renew_at, tunnel.answers.due_at, tunnel.answers.quiet_at) for tunnel in self._tunnels.values()
        ]
        deadlines += [self._prober.next_timeout(), self._ratchets.next_timeout()]
        return min((at for at in deadlines if at is not None), default=None)

    def poll(self) -> TunnelOutput | None:
        return self._out.popleft() if self._out else None

    @property
    def drops(self) -> Mapping[str, int]:
        return Counter(self._prober.drops) + Counter(self._ratchets.drops)

    def _is_taken(self, wireguard_key: bytes, peer: PeerID) -> bool:
        """Whether the key is our own, or that of another peer."""
        owners = {owner for owner, key in self._prepared.items() if key == wireguard_key}
        owners.add(self._by_key.get(wireguard_key, peer))
        return wireguard_key == self._own_wireguard_key or owners != {peer}

    def _forget(self, tunnel: _Tunnel) -> None:
        del self._by_key[tunnel.wireguard_key]
        self._out.append(RemovePeer(tunnel.wireguard_key))

    def _drain_ratchets(self) -> None:
        while (output := self._ratchets.poll()) is not None:
            peer, what = output
            status = self._prober.status(peer)
            if status is None:
                continue
            if isinstance(what, PskChanged):
                self._out.append(self._tunnels[peer].install(what.psk, status.path, status.via))
            else:
                self._out.append(Transmit(what, status.path, status.via))

    def _drain_prober(self) -> None:
        while (output := self._prober.poll()) is not None:
            match output:
                case Transmit():
                    self._out.append(output)
                case PathMoved(peer=peer, path=path, via=via):
                    self._out.append(SetPath(self._tunnels[peer].wireguard_key, path, via))
                    self._out.append(TunnelMoved(peer, path, via))
                case PathNarrow(peer=peer):
                    self._out.append(PathIsNarrow(self._tunnels[peer].wireguard_key))
                case PathSilent(peer=peer):
                    self._out.append(TunnelSilent(peer))
                case PathLost(peer=peer, path=path):
                    self.remove(peer)
                    self._out.append(TunnelLost(peer, path))
                case PingDone(peer=peer, sequence=sequence, path=path, rtt_s=rtt_s):
                    self._out.append(Ponged(peer, path, sequence, rtt_s))


def _prefixes(peer: PeerID) -> tuple[str, ...]:
    return (f"{peer.overlay_address}/128",)
