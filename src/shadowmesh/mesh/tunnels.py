"""Established sessions: what the engine has installed, and whether the peers behind it are still there.

Spec: docs/spec/mesh.md, section 4.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shadowmesh.identity.names import PeerID
from shadowmesh.mesh.outputs import InstallPeer, Ponged, RemovePeer, SetPath
from shadowmesh.paths.events import PathLost, PathMoved, PingDone
from shadowmesh.paths.probes import PathProber, ProbeStatus
from shadowmesh.session.events import Role, SessionEstablished
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.transmit import Transmit

# A fresh signed handshake a day: what leaks of one session opens a day of traffic at most. The initiator comes first,
# the responder only when the initiator did not.
SESSION_LIFETIME_S = {Role.INITIATOR: 24 * 3600.0, Role.RESPONDER: 24.5 * 3600.0}
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
class TunnelMoved:
    peer: PeerID
    path: Endpoint


@dataclass(frozen=True, slots=True)
class SessionOld:
    """Time for a fresh handshake on this path."""

    peer: PeerID
    path: Endpoint


@dataclass(slots=True)
class _Tunnel:
    peer: PeerID
    wireguard_key: bytes
    handshake_s: float
    renew_at: float


TunnelOutput = Transmit | InstallPeer | SetPath | RemovePeer | Ponged | TunnelLost | TunnelMoved | SessionOld


class Tunnels:
    """One tunnel a peer. After each call: drain `poll()`, then read `next_timeout()`."""

    def __init__(self, own: PeerID, own_wireguard_key: bytes, *, entropy: Entropy) -> None:
        self._own_wireguard_key = own_wireguard_key
        self._prober = PathProber(own, entropy=entropy)
        self._tunnels: dict[PeerID, _Tunnel] = {}
        self._by_key: dict[bytes, PeerID] = {}
        self._out: deque[TunnelOutput] = deque()

    def __contains__(self, peer: PeerID) -> bool:
        return peer in self._tunnels

    def wireguard_key(self, peer: PeerID) -> bytes | None:
        tunnel = self._tunnels.get(peer)
        return None if tunnel is None else tunnel.wireguard_key

    def handshake_s(self, peer: PeerID) -> float:
        """Raises KeyError."""
        return self._tunnels[peer].handshake_s

    def status(self, peer: PeerID) -> ProbeStatus | None:
        return self._prober.status(peer)

    def install(self, session: SessionEstablished, alternates: Sequence[Endpoint], now: float) -> None:
        """Replaces the tunnel that the peer may have. Raises KeyInUse and installs nothing."""
        key = session.wireguard_key
        if key == self._own_wireguard_key or self._by_key.get(key, session.peer) != session.peer:
            raise KeyInUse
        before = self._tunnels.get(session.peer)
        if before is not None and before.wireguard_key != key:
            self._forget(before)
        renew_at = now + SESSION_LIFETIME_S[session.role]
        self._tunnels[session.peer] = _Tunnel(session.peer, key, session.took_s, renew_at)
        self._by_key[key] = session.peer
        prefix = f"{session.peer.overlay_address}/128"
        # The initiator begins WireGuard's handshake: when it learns of the session, the responder is ready.
        initiate = session.role is Role.INITIATOR
        self._out.append(InstallPeer(key, session.psk, session.endpoint, (prefix,), initiate))
        delay_s = _FIRST_PROBE_DELAY_S[session.role]
        self._prober.start(session.peer, session.probe_key, session.endpoint, now, delay_s=delay_s)
        self._prober.set_alternates(session.peer, [other for other in alternates if other != session.endpoint])
        self._drain_prober()

    def remove(self, peer: PeerID) -> bool:
        """False when there was none."""
        tunnel = self._tunnels.pop(peer, None)
        if tunnel is None:
            return False
        self._prober.stop(peer)
        self._forget(tunnel)
        return True

    def remove_all(self) -> None:
        for peer in list(self._tunnels):
            self.remove(peer)

    def wireguard_handshake(self, wireguard_key: bytes, now: float) -> None:
        """It proves that the peer lives."""
        peer = self._by_key.get(wireguard_key)
        if peer is not None:
            self._prober.heard(peer, now)

    def roamed(self, wireguard_key: bytes, path: Endpoint, now: float) -> None:
        """The engine has followed the peer."""
        peer = self._by_key.get(wireguard_key)
        if peer is not None:
            self._prober.path_changed(peer, path)
            self._prober.heard(peer, now)
            self._out.append(TunnelMoved(peer, path))

    def network_changed(self, now: float) -> None:
        self._prober.probe_all(now)
        self._drain_prober()

    def ping(self, peer: PeerID, sequence: int, now: float) -> None:
        """Raises KeyError when there is no tunnel."""
        self._prober.ping(peer, sequence, now)
        self._drain_prober()

    def receive_datagram(self, data: bytes, source: Endpoint, now: float) -> None:
        self._prober.receive_datagram(data, source, now)
        self._drain_prober()

    def handle_timeout(self, now: float) -> None:
        self._prober.handle_timeout(now)
        self._drain_prober()
        for tunnel in self._tunnels.values():
            status = self._prober.status(tunnel.peer)
            if now >= tunnel.renew_at and status is not None:
                tunnel.renew_at = now + _RETRY_RENEWAL_S
                self._out.append(SessionOld(tunnel.peer, status.path))

    def next_timeout(self) -> float | None:
        deadlines = [tunnel.renew_at for tunnel in self._tunnels.values()]
        probe_at = self._prober.next_timeout()
        return min(deadlines if probe_at is None else [*deadlines, probe_at], default=None)

    def poll(self) -> TunnelOutput | None:
        return self._out.popleft() if self._out else None

    @property
    def drops(self) -> Mapping[str, int]:
        return self._prober.drops

    def _forget(self, tunnel: _Tunnel) -> None:
        del self._by_key[tunnel.wireguard_key]
        self._out.append(RemovePeer(tunnel.wireguard_key))

    def _drain_prober(self) -> None:
        while (output := self._prober.poll()) is not None:
            match output:
                case Transmit():
                    self._out.append(output)
                case PathMoved(peer=peer, path=path):
                    self._out.append(SetPath(self._tunnels[peer].wireguard_key, path))
                    self._out.append(TunnelMoved(peer, path))
                case PathLost(peer=peer, path=path):
                    self.remove(peer)
                    self._out.append(TunnelLost(peer, path))
                case PingDone(peer=peer, sequence=sequence, path=path, rtt_s=rtt_s):
                    self._out.append(Ponged(peer, path, sequence, rtt_s))
