"""What a node tells of its peers, put together from what its parts know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from shadowmesh.mesh.calls import OwnAddresses
from shadowmesh.mesh.peers import Peer
from shadowmesh.mesh.state import PeerState, PeerStatus, TrustedPeer
from shadowmesh.mesh.tunnels import Tunnels
from shadowmesh.paths.candidates import CandidateKind
from shadowmesh.paths.path_kind import PathKind, path_kind
from shadowmesh.paths.probes import ProbeStatus
from shadowmesh.session.events import DropReason
from shadowmesh.wire.endpoint import Endpoint


def peer_status(trusted: TrustedPeer, peer: Peer | None, tunnels: Tunnels, own: OwnAddresses) -> PeerStatus:
    peer_id = trusted.fingerprint.peer_id
    path = tunnels.status(peer_id)
    return PeerStatus(
        peer=peer_id,
        fingerprint=trusted.fingerprint,
        name=trusted.name,
        state=PeerState.IDLE if peer is None else peer.state,
        path=None if path is None else path.path,
        rtt_s=None if path is None else path.rtt_s,
        probed_at=None if path is None else path.probed_at,
        handshake_s=None if path is None else tunnels.handshake_s(peer_id),
        cipher=None if path is None else tunnels.cipher(peer_id),
        wireguard_key=tunnels.wireguard_key(peer_id),
        reason=_reason(peer, path),
        path_kind=None if path is None else _kind(peer, path.path, own),
        path_narrow=path is not None and path.narrow,
    )


def _kind(peer: Peer | None, path: Endpoint, own: OwnAddresses) -> PathKind:
    hosts = [candidate.endpoint for candidate in own.candidates if candidate.kind is CandidateKind.HOST]
    return path_kind(path, hosts, own.nat.mapping, () if peer is None else peer.call_candidates)


def _reason(peer: Peer | None, path: ProbeStatus | None) -> str:
    if path is not None and path.silent:
        return f"no answer from {path.path} just now: other paths are being tried"
    return "" if peer is None else peer.reason


def merge_drops(parts: list[Mapping[str, int]], session: Mapping[DropReason, int]) -> Counter[str]:
    """How often something was ignored, by reason. Reasons that never occurred are left out."""
    merged: Counter[str] = Counter()
    for part in parts:
        merged.update(part)
    merged.update({reason.value: count for reason, count in session.items()})
    return +merged
