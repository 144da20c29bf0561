"""Why a peer is not reached: one clear line for a person."""

from __future__ import annotations

from collections.abc import Sequence

from shadowmesh.mesh.calls import OwnAddresses
from shadowmesh.mesh.connector_events import LinkView
from shadowmesh.mesh.peers import Peer
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.events import PunchEnded
from shadowmesh.paths.nat_behaviour import Mapping, NatBehaviour
from shadowmesh.paths.punch_plan import Role

_LISTED = 3  # endpoints; more would not fit a line


def no_record(peer: Peer, link: LinkView) -> str:
    return f"no record of {peer.name} is held, and {_backbone_away(link)}"


def no_answer(peer: Peer, link: LinkView, own: OwnAddresses) -> str:
    """What the backbone says of the peer, why no path to it was opened, or where nobody answered."""
    said = _said(peer, link)
    if not said and peer.punch is not None and not peer.punch.found:
        return f"no direct path to {peer.name}: {_obstacle(peer, peer.punch, own)}; a relay is needed"
    tried = () if peer.attempt is None else peer.attempt.tried
    if not tried:
        return f"{said}, and no address of it is known" if said else f"no address of {peer.name} is known"
    more = f" and {len(tried) - _LISTED} more" if len(tried) > _LISTED else ""
    silence = f"does not answer at {', '.join(map(str, tried[:_LISTED]))}{more}"
    if not said:
        return f"{peer.name} {silence}"
    return f"{said} and {silence}" if said.startswith(peer.name) else f"{said}, and {peer.name} {silence}"


def _said(peer: Peer, link: LinkView) -> str:
    attempt = peer.attempt
    if not link.online:
        return _backbone_away(link)
    if peer.online is False or (attempt is not None and attempt.call_failed):
        return f"{peer.name} is not online at the backbone"
    if attempt is not None and attempt.called and not peer.call_candidates:
        return f"{peer.name} does not answer our call (does it trust this node?)"
    return ""


def _obstacle(peer: Peer, punch: PunchEnded, own: OwnAddresses) -> str:
    if _has_no_udp(own.nat, own.candidates):
        return "this network lets no UDP through"
    if _has_no_udp(peer.nat, peer.call_candidates):
        return f"the network of {peer.name} lets no UDP through"
    return Role.NONE.value if punch.role is Role.NONE else f"none of {punch.probes_sent} probes came through"


def _has_no_udp(nat: NatBehaviour, candidates: Sequence[Candidate]) -> bool:
    """Nobody outside has seen it by UDP."""
    return nat.mapping is Mapping.UNKNOWN and all(each.kind is CandidateKind.HOST for each in candidates)


def _backbone_away(link: LinkView) -> str:
    return f"the backbone is not reached ({link.reason})"
