"""Why a peer is reached as it is, or is not: what was tried, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from shadowmesh.mesh.calls import OwnAddresses
from shadowmesh.mesh.peers import Attempt, Peer
from shadowmesh.mesh.state import PeerStatus
from shadowmesh.paths.candidates import Candidate
from shadowmesh.paths.nat_behaviour import NatBehaviour
from shadowmesh.paths.probes import ProbedPath
from shadowmesh.paths.punch_report import PunchReport
from shadowmesh.wire.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """Of the attempt that goes on, or of the last one."""

    started_at: float
    looked_up: bool
    called: bool
    call_failed: bool  # the backbone could not pass the call on
    tried: tuple[Endpoint, ...]  # where handshakes were sent, besides what a punch has found


@dataclass(frozen=True, slots=True)
class PeerReport:
    status: PeerStatus
    has_record: bool
    online: bool | None  # as the backbone said last
    attempt: AttemptReport | None
    own: OwnAddresses
    told: tuple[Candidate, ...]  # by the peer, in its last call or answer; empty: it never did
    peer_nat: NatBehaviour
    punch: PunchReport | None
    alternates: tuple[ProbedPath, ...]


def peer_report(
    status: PeerStatus,
    peer: Peer,
    *,
    has_record: bool,
    own: OwnAddresses,
    punch: PunchReport | None,
    alternates: tuple[ProbedPath, ...],
) -> PeerReport:
    attempt = peer.attempt or peer.last_attempt
    return PeerReport(
        status,
        has_record,
        peer.online,
        None if attempt is None else _attempt(attempt),
        own,
        peer.call_candidates,
        peer.nat,
        punch,
        alternates,
    )


def _attempt(attempt: Attempt) -> AttemptReport:
    return AttemptReport(attempt.started_at, attempt.looked_up, attempt.called, attempt.call_failed, attempt.tried)
