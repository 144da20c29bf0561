"""What to do about a peer that is not reached. Pure."""

from __future__ import annotations

from shadowmesh.mesh.network_check import NetworkReport
from shadowmesh.mesh.peer_report import PeerReport
from shadowmesh.mesh.state import PeerState
from shadowmesh.paths.advice import Outcome, Side, advise_pair, outcome
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.port_mapping.status import MappingStatus

_NETWORK_FIRST = "check this machine's network, then what the backbone's operator says"


def own_side(network: NetworkReport) -> Side:
    """UDP counts as blocked when a backbone node is reached and no observer answers."""
    heard = any(each.mapped is not None for each in network.observers)
    unheard = network.link_online and bool(network.observers) and not network.is_asking
    return Side(network.nat, _has_open_port(network.candidates), True if heard else False if unheard else None)


def peer_side(report: PeerReport) -> Side:
    """As it told us in its last call; all unknown when it never did."""
    return Side(report.peer_nat, _has_open_port(report.told))


def advise_for(
    report: PeerReport, network: NetworkReport, mappings: tuple[MappingStatus, ...], *, port: int, own_fingerprint: str
) -> tuple[str, ...]:
    """Nothing for a peer that is connected, or that nobody has tried to reach."""
    name, attempt = report.status.name or str(report.status.peer), report.attempt
    if report.status.state in (PeerState.LOOKING_UP, PeerState.CONNECTED) or attempt is None:
        return ()
    if not network.link_online and not report.told:
        return (_NETWORK_FIRST, f"or start {name} in the same LAN")
    if not report.has_record:
        return (f"is the node of {name} up, with the same backbone? is its fingerprint the right one?",)
    if attempt.call_failed or report.online is False:
        return (f"start the node of {name}, or check its link to the backbone (`shadowmesh status` there)",)
    if not report.told:
        return (f"have {name} trust this node: shadowmesh peers trust {own_fingerprint}",)
    own, peer = own_side(network), peer_side(report)
    if report.status.state is PeerState.CONNECTING and outcome(own, peer) is not Outcome.NEVER:
        return ()
    lines = advise_pair(own, peer, mappings, port)
    return lines or (f"is there a firewall on either machine? let UDP port {port} in, and UDP out to all ports",)


def _has_open_port(candidates: tuple[Candidate, ...]) -> bool:
    return any(each.kind is CandidateKind.MAPPED for each in candidates)
