"""What a network's behaviour means for a person: who is reached directly, and what to change in the router. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from shadowmesh.paths.nat_behaviour import UNKNOWN_NAT, Filtering, Mapping, NatBehaviour
from shadowmesh.paths.port_mapping.status import MappingState, MappingStatus
from shadowmesh.paths.punch_plan import Role, choose_role


class Outcome(Enum):
    """How two sides come together."""

    DIRECT = "directly"
    FORETOLD = "directly, when a port can be foretold"
    BY_TRYING = "directly after some seconds, by trying many ports"
    NEVER = "not directly"


@dataclass(frozen=True, slots=True)
class Side:
    """One of two networks. `has_open_port`: anybody can send to it, as the router was asked, or told, to let them."""

    nat: NatBehaviour = UNKNOWN_NAT
    has_open_port: bool = False
    udp: bool | None = None  # None: not known


@dataclass(frozen=True, slots=True)
class PeerGroup:
    """Peers that come off alike."""

    description: str
    side: Side


PEER_GROUPS = (
    PeerGroup(
        "peers without a NAT, or whose router keeps one port for all (most homes)",
        Side(NatBehaviour(Mapping.ENDPOINT_INDEPENDENT)),
    ),
    PeerGroup(
        "peers whose router gives each destination the next port (symmetric NAT, in order)",
        Side(NatBehaviour(Mapping.ADDRESS_AND_PORT_DEPENDENT, step=1)),
    ),
    PeerGroup(
        "peers whose router gives each destination a port at random (symmetric NAT; offices, mobile carriers)",
        Side(NatBehaviour(Mapping.ADDRESS_AND_PORT_DEPENDENT)),
    ),
)
_OUTCOMES = {
    Role.PLAIN: Outcome.DIRECT,
    Role.PREDICT: Outcome.FORETOLD,
    Role.AWAIT_PREDICTION: Outcome.FORETOLD,
    Role.SPRAY: Outcome.BY_TRYING,
    Role.HOLD_PORTS: Outcome.BY_TRYING,
    Role.NONE: Outcome.NEVER,
}
_MAPPING_WORDS = {
    Mapping.UNKNOWN: "not known yet",
    Mapping.NONE: "none: this host's address is used as it is",
    Mapping.ENDPOINT_INDEPENDENT: "one outside port for all destinations",
    Mapping.ADDRESS_DEPENDENT: "another outside port for each destination address (symmetric NAT)",
    Mapping.ADDRESS_AND_PORT_DEPENDENT: "another outside port for each destination (symmetric NAT)",
}
_FILTERING_WORDS = {
    Filtering.UNKNOWN: "",
    Filtering.ENDPOINT_INDEPENDENT: "lets everybody in",
    Filtering.ADDRESS_DEPENDENT: "lets in whom we have sent to",
    Filtering.ADDRESS_AND_PORT_DEPENDENT: "lets in only the very port that we have sent to",
}


def outcome(own: Side, peer: Side) -> Outcome:
    if own.udp is False or peer.udp is False:
        return Outcome.NEVER
    if any(side.has_open_port or _hears_every_port(side.nat) for side in (own, peer)):
        return Outcome.DIRECT
    return _OUTCOMES[choose_role(own.nat, peer.nat)]


def _hears_every_port(nat: NatBehaviour) -> bool:
    """A peer that comes from a port that nobody knew is let in, once something was sent to its address."""
    stable = nat.mapping in (Mapping.NONE, Mapping.ENDPOINT_INDEPENDENT)
    return stable and nat.filtering in (Filtering.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_DEPENDENT)


def nat_in_words(nat: NatBehaviour) -> str:
    parts = [_MAPPING_WORDS[nat.mapping]]
    if nat.is_predictable:
        parts.append(f"in steps of {nat.step}")
    elif nat.is_hard and nat.block is not None:
        parts.append(f"at random between {nat.block.first} and {nat.block.last}")
    elif nat.is_hard:
        parts.append("at random")
    if words := _FILTERING_WORDS[nat.filtering]:
        parts.append(words)
    return ", ".join(parts)


def advise(own: Side, mappings: tuple[MappingStatus, ...], port: int, *, has_ipv6: bool) -> tuple[str, ...]:
    """What the owner may change so that more peers are reached; nothing where all are."""
    if own.udp is False:
        return (_ALLOW_UDP.format(port=port),)
    if own.udp is None:
        return ("check this machine's network, and the backbone's address in config.toml",)
    if all(outcome(own, group.side) is Outcome.DIRECT for group in PEER_GROUPS):
        return ()
    lines = [_open_port(mappings, port)]
    if not has_ipv6:
        lines.append("turn on IPv6 in the router, if the provider has it: two peers with IPv6 need no NAT at all")
    return tuple(lines)


def advise_pair(own: Side, peer: Side, mappings: tuple[MappingStatus, ...], port: int) -> tuple[str, ...]:
    """For a peer that is not reached: what either owner may change. The first line is what is in our hands."""
    if own.udp is False:
        return (_ALLOW_UDP.format(port=port),)
    if outcome(own, peer) in (Outcome.DIRECT, Outcome.FORETOLD):
        return ()
    return (
        _open_port(mappings, port),
        f"or have the peer's owner do so at the peer ({nat_in_words(peer.nat)})",
        "or use IPv6 on both sides",
    )


_ALLOW_UDP = (
    "this network lets no UDP out: allow it in the firewall, to all ports, for packets from UDP port {port} of this "
    "machine"
)


def _open_port(mappings: tuple[MappingStatus, ...], port: int) -> str:
    double = next((each for each in mappings if each.state is MappingState.DOUBLE_NAT), None)
    if double is not None:
        return (
            f"the router {double.gateway.address} has opened a port, but another NAT is in front of it: ask the "
            "provider for a public IPv4 address, or turn the second router into a bridge"
        )
    return f"turn on UPnP, NAT-PMP or PCP in the router, or forward UDP port {port} to this machine"
