"""Why a peer is not reached: one clear line for a person."""

from __future__ import annotations

from shadowmesh.mesh.connector_events import LinkView
from shadowmesh.mesh.peers import Peer
from shadowmesh.paths.nat_behaviour import UNKNOWN_NAT, NatBehaviour
from shadowmesh.paths.punch_plan import Role, choose_role

_LISTED = 3  # endpoints; more would not fit a line


def no_record(peer: Peer, link: LinkView) -> str:
    return f"no record of {peer.name} is held, and {_backbone_away(link)}"


def no_answer(peer: Peer, link: LinkView, own_nat: NatBehaviour = UNKNOWN_NAT) -> str:
    """What the backbone says of the peer, and where nobody answered, or why nobody could."""
    said = _said(peer, link)
    tried = () if peer.attempt is None else peer.attempt.tried
    if not tried:
        return f"{said}, and no address of it is known" if said else f"no address of {peer.name} is known"
    more = f" and {len(tried) - _LISTED} more" if len(tried) > _LISTED else ""
    silence = f"does not answer at {', '.join(map(str, tried[:_LISTED]))}{more}"
    if not said:
        role = choose_role(own_nat, peer.nat)
        return f"{peer.name} {silence}" + (f": {role.value}" if role is Role.NONE else "")
    return f"{said} and {silence}" if said.startswith(peer.name) else f"{said}, and {peer.name} {silence}"


def _said(peer: Peer, link: LinkView) -> str:
    attempt = peer.attempt
    if not link.online:
        return _backbone_away(link)
    if peer.online is False or (attempt is not None and attempt.call_failed):
        return f"{peer.name} is not online at the backbone"
    if attempt is not None and attempt.called and not peer.call_endpoints:
        return f"{peer.name} does not answer our call (does it trust this node?)"
    return ""


def _backbone_away(link: LinkView) -> str:
    return f"the backbone is not reached ({link.reason})"
