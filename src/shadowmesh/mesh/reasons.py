"""Why a peer is not reached: one clear line for a person."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from shadowmesh.mesh.calls import OwnAddresses
from shadowmesh.mesh.connector_events import LinkView
from shadowmesh.mesh.peers import Peer
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.nat_behaviour import Mapping, NatBehaviour
from shadowmesh.paths.punch_plan import Role
from shadowmesh.wire.endpoint import Endpoint

_LISTED = 3  # endpoints; more would not fit a line
_OPEN_UDP = "let outgoing UDP through its firewall"
_OPEN_ROUTER = "switch on UPnP, NAT-PMP or PCP in one of them, or use a network with IPv6"


def no_record(peer: Peer, link: LinkView) -> str:
    return f"no record of {peer.name} is held, and {_backbone_away(link)}"


def no_answer(peer: Peer, link: LinkView) -> str:
    """What the backbone says of the peer, and where nobody answered."""
    said = _said(peer, link)
    tried = () if peer.attempt is None else peer.attempt.tried
    if not tried:
        return f"{said}, and no address of it is known" if said else f"no address of {peer.name} is known"
    silence = f"does not answer at {_listed(tried)}"
    if not said:
        return f"{peer.name} {silence}"
    return f"{said} and {silence}" if said.startswith(peer.name) else f"{said}, and {peer.name} {silence}"


def no_path(peer: Peer, own: OwnAddresses) -> str:
    """Both sides have tried all that they know of each other: what stands between them, and what to do."""
    if not _passes_udp(own.candidates, own.nat):
        return f"relay needed: no UDP passes out of this network (no observer answers): {_OPEN_UDP}"
    if not _passes_udp(peer.call_candidates, peer.nat):
        return f"relay needed: no UDP passes out of {peer.name}'s network (no observer answers it): {_OPEN_UDP}"
    role = Role.PLAIN if peer.punch is None else peer.punch.role
    if role is Role.NONE:
        return f"relay needed: both routers choose another port for each peer: {_OPEN_ROUTER}"
    if role.is_by_chance:
        whose = f"{peer.name}'s" if peer.nat.is_hard else "our"
        return f"relay needed for now: the ports that {whose} router chose were not guessed; it is tried again"
    tried = () if peer.attempt is None else peer.attempt.tried
    return f"relay needed: no UDP passes between the two networks, tried at {_listed(tried)}: {_OPEN_ROUTER}"


def _passes_udp(candidates: Collection[Candidate], nat: NatBehaviour) -> bool:
    """Whether any observer, or the router, has seen UDP of this side."""
    seen = any(candidate.kind is not CandidateKind.HOST for candidate in candidates)
    return seen or nat.mapping is not Mapping.UNKNOWN


def _listed(endpoints: Sequence[Endpoint]) -> str:
    more = f" and {len(endpoints) - _LISTED} more" if len(endpoints) > _LISTED else ""
    return ", ".join(map(str, endpoints[:_LISTED])) + more


def _said(peer: Peer, link: LinkView) -> str:
    attempt = peer.attempt
    if not link.online:
        return _backbone_away(link)
    if peer.online is False or (attempt is not None and attempt.call_failed):
        return f"{peer.name} is not online at the backbone"
    if attempt is not None and attempt.called and not peer.call_candidates:
        return f"{peer.name} does not answer our call (does it trust this node?)"
    return ""


def _backbone_away(link: LinkView) -> str:
    return f"the backbone is not reached ({link.reason})"
