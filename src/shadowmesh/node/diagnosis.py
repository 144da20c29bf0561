"""What the mesh knows of the network and of a peer, as documents of `netcheck` and `why`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shadowmesh.control import diagnosis as documents
from shadowmesh.control.schema import Peer
from shadowmesh.mesh.network_check import NetworkReport, Observer
from shadowmesh.mesh.peer_report import AttemptReport, PeerReport
from shadowmesh.mesh.state import PeerState
from shadowmesh.node.peer_advice import advise_for, own_side, peer_side
from shadowmesh.paths.advice import PEER_GROUPS, Outcome, advise, nat_in_words, outcome
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.nat_behaviour import Filtering, Mapping, NatBehaviour
from shadowmesh.paths.port_mapping.status import MappingState, MappingStatus
from shadowmesh.paths.probes import ProbedPath
from shadowmesh.paths.punch_plan import Role
from shadowmesh.paths.punch_report import PunchReport
from shadowmesh.records.region import Region


def netcheck(
    report: NetworkReport, mappings: Sequence[MappingStatus], *, port: int, took_s: float
) -> documents.NetcheckDocument:
    own = own_side(report)
    seen = list(dict.fromkeys(each.mapped for each in report.observers if each.mapped is not None))
    ipv6 = [str(endpoint) for endpoint in seen if endpoint.address.version == 6]
    return documents.NetcheckDocument(
        took_s=took_s,
        port=port,
        udp=own.udp,
        ipv4=[str(endpoint) for endpoint in seen if endpoint.address.version == 4],
        ipv6=ipv6,
        nat=nat(report.nat),
        candidates=[candidate(each) for each in report.candidates],
        port_mappings=[port_mapping(status) for status in mappings],
        observers=[observer(each) for each in report.observers],
        regions=regions(report.observers),
        reach=[_reach(group.description, outcome(own, group.side)) for group in PEER_GROUPS if own.udp is not None],
        backbone="" if report.link_online else report.link_reason,
        advice=list(advise(own, tuple(mappings), port, has_ipv6=bool(ipv6))),
    )


def why(
    report: PeerReport,
    network: NetworkReport,
    mappings: Sequence[MappingStatus],
    peer: Peer,
    *,
    port: int,
    own_fingerprint: str,
    now: float,
) -> documents.WhyDocument:
    """`peer`: as in the status document."""
    return documents.WhyDocument(
        peer=peer,
        has_record=report.has_record,
        online=report.online,
        backbone="" if network.link_online else network.link_reason,
        told=[candidate(each) for each in report.told],
        own_nat=nat(report.own.nat),
        peer_nat=nat(peer_side(report).nat),
        attempt=None if report.attempt is None else _attempt(report.attempt, now),
        punch=None if report.punch is None else _punch(report.punch, now),
        alternates=[_path(each) for each in report.alternates],
        summary=_summary(report, peer),
        advice=list(advise_for(report, network, tuple(mappings), port=port, own_fingerprint=own_fingerprint)),
    )


def nat(behaviour: NatBehaviour) -> documents.Nat:
    ports = (behaviour.ports.first, behaviour.ports.last) if behaviour.is_hard and not behaviour.step else None
    return documents.Nat(
        mapping=_MAPPINGS[behaviour.mapping],
        filtering=_FILTERINGS[behaviour.filtering],
        port_step=behaviour.step,
        ports=ports,
        words=nat_in_words(behaviour),
    )


def candidate(value: Candidate) -> documents.Candidate:
    return documents.Candidate(kind=_KINDS[value.kind], endpoint=str(value.endpoint))


def observer(value: Observer) -> documents.Observer:
    return documents.Observer(
        endpoint=str(value.endpoint),
        url=value.url,
        region=Region.of(value.region).label,
        seen_as=None if value.mapped is None else str(value.mapped),
        rtt_s=value.rtt_s,
    )


def port_mapping(status: MappingStatus) -> documents.PortMapping:
    return documents.PortMapping(
        gateway=str(status.gateway.address),
        state=_MAPPING_STATES[status.state],
        protocol=None if status.protocol is None else status.protocol.value,
        external=None if status.external is None else str(status.external),
        reason=status.reason,
    )


def regions(observers: Iterable[Observer]) -> dict[str, float | None]:
    """The nearest node of each, None where none has answered; in the order of the nodes."""
    nearest: dict[str, float | None] = {}
    for each in observers:
        label = Region.of(each.region).label
        known = [rtt_s for rtt_s in (nearest.get(label), each.rtt_s) if rtt_s is not None]
        nearest[label] = min(known, default=None)
    return nearest


def _reach(peers: str, how: Outcome) -> documents.Reach:
    return documents.Reach(peers=peers, outcome=_OUTCOMES[how], words=how.value)


def _attempt(report: AttemptReport, now: float) -> documents.Attempt:
    return documents.Attempt(
        age_s=max(0.0, now - report.started_at),
        looked_up=report.looked_up,
        called=report.called,
        call_failed=report.call_failed,
        tried=[str(endpoint) for endpoint in report.tried],
    )


def _punch(report: PunchReport, now: float) -> documents.Punch:
    return documents.Punch(
        age_s=max(0.0, now - report.began_at),
        role=_ROLES[report.role],
        words=report.role.value,
        probes_sent=report.probes_sent,
        probed=[
            documents.ProbedEndpoint(
                endpoint=str(each.endpoint),
                kind=_KINDS[each.kind],
                probes_sent=each.probes_sent,
                rtt_s=each.rtt_s,
            )
            for each in report.probed
        ],
    )


def _path(value: ProbedPath) -> documents.Path:
    return documents.Path(endpoint=str(value.path), rtt_s=value.rtt_s)


def _summary(report: PeerReport, peer: Peer) -> str:
    name = peer.name or peer.peer_id
    match report.status.state:
        case PeerState.CONNECTED:
            return f"{name} is connected directly by {peer.path}"
        case PeerState.IDLE:
            return f"{name} is not connected: {peer.reason or 'nobody wants to talk to it'}"
        case PeerState.UNREACHABLE:
            return f"{name} is not reached: {peer.reason}"
        case _:
            return f"{name} is not connected yet: {peer.state}"


_MAPPINGS: dict[Mapping, documents.MappingName] = {
    Mapping.UNKNOWN: "unknown",
    Mapping.NONE: "none",
    Mapping.ENDPOINT_INDEPENDENT: "endpoint-independent",
    Mapping.ADDRESS_DEPENDENT: "address-dependent",
    Mapping.ADDRESS_AND_PORT_DEPENDENT: "address-and-port-dependent",
}
_FILTERINGS: dict[Filtering, documents.FilteringName] = {
    Filtering.UNKNOWN: "unknown",
    Filtering.ENDPOINT_INDEPENDENT: "endpoint-independent",
    Filtering.ADDRESS_DEPENDENT: "address-dependent",
    Filtering.ADDRESS_AND_PORT_DEPENDENT: "address-and-port-dependent",
}
_KINDS: dict[CandidateKind, documents.CandidateKindName] = {
    CandidateKind.HOST: "host",
    CandidateKind.SERVER_REFLEXIVE: "server-reflexive",
    CandidateKind.MAPPED: "mapped",
    CandidateKind.PEER_REFLEXIVE: "peer-reflexive",
}
_OUTCOMES: dict[Outcome, documents.OutcomeName] = {
    Outcome.DIRECT: "direct",
    Outcome.FORETOLD: "foretold",
    Outcome.BY_TRYING: "by-trying",
    Outcome.NEVER: "never",
}
_ROLES: dict[Role, documents.RoleName] = {
    Role.PLAIN: "plain",
    Role.PREDICT: "predict",
    Role.AWAIT_PREDICTION: "await-prediction",
    Role.SPRAY: "spray",
    Role.HOLD_PORTS: "hold-ports",
    Role.NONE: "none",
}
_MAPPING_STATES: dict[MappingState, documents.MappingStateName] = {
    MappingState.SEARCHING: "searching",
    MappingState.MAPPED: "mapped",
    MappingState.DOUBLE_NAT: "double-nat",
    MappingState.FAILED: "failed",
    MappingState.RELEASED: "released",
}
