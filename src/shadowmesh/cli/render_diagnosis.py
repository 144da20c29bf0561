"""What `netcheck` and `why` found, as text for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from shadowmesh.cli.render import duration, milliseconds, pairs, table
from shadowmesh.control import diagnosis

_MAX_SILENT = 2  # endpoints of one address that are shown by name; the rest is counted
_KINDS = {
    "host": "its own address",
    "server-reflexive": "as others see it",
    "mapped": "opened at its router",
    "peer-reflexive": "as its probes came",
}


def netcheck(document: diagnosis.NetcheckDocument) -> str:
    facts = [
        ("UDP", _udp(document)),
        ("IPv4", ", ".join(document.ipv4) or "not seen from outside"),
        ("IPv6", ", ".join(document.ipv6) or "not seen from outside"),
        ("router", document.nat.words),
        ("port mapping", "; ".join(map(_port_mapping, document.port_mappings)) or "no router to ask"),
    ]
    sections = [pairs(facts)]
    if document.reach:
        sections.append(["Peers that are reached from here:", *(f"  {_reach(each)}" for each in document.reach)])
    if document.observers:
        sections.append(table(["BACKBONE NODE", "REGION", "ROUND TRIP", "SEES US AS"], _nodes(document.observers)))
    return _joined(sections, document.advice)


def why(document: diagnosis.WhyDocument) -> str:
    facts = [
        ("record", "held" if document.has_record else "none"),
        ("backbone", _backbone(document)),
        ("call", _call(document)),
        ("our router", document.own_nat.words),
        ("its router", document.peer_nat.words if document.told else "not known: it has told nothing yet"),
    ]
    sections = [[document.summary], pairs(facts)]
    if (punch := document.punch) is not None:
        head = f"{duration(punch.age_s)} ago: {punch.words}; {punch.probes_sent} probes sent"
        rows = _probed(punch.probed)
        if document.peer.state == "connected" and all(each.rtt_s is None for each in punch.probed):
            head += ", and the handshake came through before an answer"
        sections.append([head, *table(["TRIED", "", "PROBES", "ANSWER"], rows)] if rows else [head])
    elif document.attempt is not None and document.attempt.tried:
        sections.append(["Handshakes went to " + ", ".join(document.attempt.tried)])
    if document.alternates:
        rows = [[path.endpoint, _round_trip(path.rtt_s)] for path in document.alternates]
        sections.append(table(["OTHER PATH", "ROUND TRIP"], rows))
    return _joined(sections, document.advice)


def _joined(sections: Sequence[Sequence[str]], advice: Sequence[str]) -> str:
    told = [["What to do:", *(f"  - {line}" for line in advice)]] if advice else []
    return "\n\n".join("\n".join(lines) for lines in [*sections, *told])


def _udp(document: diagnosis.NetcheckDocument) -> str:
    match document.udp:
        case True:
            return "passes"
        case False:
            return "does not pass: no backbone node has answered"
    return f"not known: {document.backbone or 'no backbone node could be asked'}"


def _port_mapping(mapping: diagnosis.PortMapping) -> str:
    match mapping.state:
        case "mapped":
            return f"{mapping.external} at {mapping.gateway}, by {mapping.protocol}"
        case "double-nat":
            return f"{mapping.external} at {mapping.gateway}, which is behind another NAT"
        case "searching":
            return f"{mapping.gateway} is being asked"
    return f"{mapping.gateway} maps none" + (f" ({mapping.reason})" if mapping.reason else "")


def _reach(reach: diagnosis.Reach) -> str:
    mark = {"direct": "yes", "foretold": "mostly", "by-trying": "mostly", "never": "no"}[reach.outcome]
    return f"{mark:<7} {reach.peers}: {reach.words}"


def _nodes(observers: Iterable[diagnosis.Observer]) -> list[list[str]]:
    return [
        [
            f"{each.url} ({each.endpoint})",
            each.region,
            "no answer" if each.seen_as is None else _round_trip(each.rtt_s),
            each.seen_as or "-",
        ]
        for each in observers
    ]


def _round_trip(rtt_s: float | None) -> str:
    return "-" if rtt_s is None else milliseconds(rtt_s)


def _backbone(document: diagnosis.WhyDocument) -> str:
    if document.backbone:
        return f"not reached ({document.backbone})"
    return {True: "it is online", False: "it is not online", None: "reached; it has not said whether the peer is"}[
        document.online
    ]


def _call(document: diagnosis.WhyDocument) -> str:
    attempt = document.attempt
    if attempt is None:
        return "answered" if document.told else "none"
    if attempt.call_failed:
        return "could not be passed on"
    if document.told:
        return "answered" if attempt.called else "came from the peer"
    return "no answer" if attempt.called else "none placed"


def _probed(probed: Sequence[diagnosis.ProbedEndpoint]) -> list[list[str]]:
    """Guessed ports of one address, of which none answered, are one row."""
    rows = [
        [each.endpoint, _KINDS[each.kind], str(each.probes_sent), milliseconds(each.rtt_s)]
        for each in probed
        if each.rtt_s is not None
    ]
    silent: dict[tuple[str, str], list[diagnosis.ProbedEndpoint]] = {}
    for each in probed:
        if each.rtt_s is None:
            silent.setdefault((_address(each.endpoint), each.kind), []).append(each)
    for (address, kind), group in silent.items():
        if len(group) > _MAX_SILENT:
            rows.append([f"{address}, {len(group)} ports", _KINDS[kind], str(sum(p.probes_sent for p in group)), "-"])
        else:
            rows += [[each.endpoint, _KINDS[kind], str(each.probes_sent), "-"] for each in group]
    return rows


def _address(endpoint: str) -> str:
    return str(ip_address(endpoint.rpartition(":")[0].strip("[]")))
