"""The nftables ruleset of a router: eth0 is outside, br0 inside. Pure: text comes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address

from shadowmesh.lab.errors import LabError
from shadowmesh.lab.nat import endpoint_independent
from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.nat.theory import Dependence, Ports

TABLE = "router"
MAPPING_CHAINS = ("mapped_forward", "mapped_prerouting", "mapped_postrouting")  # filled by the port mapping server
PORT_BLOCK = range(20000, 22048)  # 2,048 ports, a usual size of what a carrier gives to one subscriber
SEQUENTIAL_PORTS = range(22400, 22400 + 2048)  # more would not fit into one netlink message of an ordinary user

_OUT = 'oifname "eth0" meta nfproto ipv4'
_FILTERING = {
    NatKind.FULL_CONE: Dependence.ENDPOINT_INDEPENDENT,
    NatKind.CARRIER: Dependence.ENDPOINT_INDEPENDENT,
    NatKind.ADDRESS_RESTRICTED: Dependence.ADDRESS_DEPENDENT,
    NatKind.PORT_RESTRICTED_STRICT: Dependence.ADDRESS_AND_PORT_DEPENDENT,
}


class Ipv6(Enum):
    """What a router does with IPv6."""

    NONE = "none"
    FIREWALL = "firewall"  # routes a prefix; lets in only what was asked for
    OPEN = "open"  # routes a prefix; no filter


@dataclass(frozen=True, slots=True)
class Policy:
    """How a router treats its site. Raises `LabError` for a combination that no rules can express."""

    kind: NatKind | None  # None: no IPv4
    ipv6: Ipv6 = Ipv6.NONE
    hairpin: bool = False
    random_ports: bool = False  # endpoint-independent mappings do not keep the inside port
    mapping_timeout_s: int = 120
    input_filter: bool = True  # drops what comes from outside for the router itself

    def __post_init__(self) -> None:
        if self.hairpin and self.kind not in (*_FILTERING, NatKind.PORT_RESTRICTED):
            raise LabError(f"{self.kind}: no hairpin, there are no mappings that outlast a destination")
        if self.random_ports and self.kind not in (*_FILTERING, NatKind.PORT_RESTRICTED):
            raise LabError(f"{self.kind}: which ports it gives cannot be changed")
        if not 1 <= self.mapping_timeout_s <= 86_400:
            raise LabError(f"mapping timeout of {self.mapping_timeout_s} s: want 1 to 86400")
        if self.kind is None and self.ipv6 is Ipv6.NONE:
            raise LabError("a site has IPv4, IPv6 or both")

    @property
    def effective_kind(self) -> NatKind | None:
        """Hairpin and random ports need recorded mappings, which the plain masquerade has not."""
        recorded = self.hairpin or self.random_ports
        plain = self.kind is NatKind.PORT_RESTRICTED
        return NatKind.PORT_RESTRICTED_STRICT if recorded and plain else self.kind


def ruleset(policy: Policy, outside: IPv4Address | None) -> str:
    """What `nft -f` reads. It replaces the rules that are there, in one step, and forgets all recorded mappings."""
    parts = [f"    set outside {{ type ipv4_addr; {_elements(outside)} }}"]
    if policy.effective_kind in _FILTERING:
        parts.append(endpoint_independent.records(policy.mapping_timeout_s))
    if policy.kind is NatKind.UPNP:
        parts += [_chain(chain, "", []) for chain in MAPPING_CHAINS]
    parts += [
        _chain("prerouting", "type nat hook prerouting priority dstnat;", _prerouting(policy)),
        _chain("postrouting", "type nat hook postrouting priority srcnat;", _postrouting(policy)),
        _chain("forward", "type filter hook forward priority filter; policy drop;", _forward(policy)),
        _chain("input", "type filter hook input priority filter;", _input(policy)),
    ]
    body = "\n".join(parts)
    return f"table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{body}\n}}\n"


def _prerouting(policy: Policy) -> list[str]:
    if policy.kind is NatKind.UPNP:
        return [f"jump {MAPPING_CHAINS[1]}"]
    filtering = _FILTERING.get(policy.effective_kind) if policy.effective_kind else None
    rules = [] if filtering is None else endpoint_independent.incoming(filtering)
    return rules + (endpoint_independent.hairpin_in() if policy.hairpin else [])


def _postrouting(policy: Policy) -> list[str]:
    rules = endpoint_independent.hairpin_out() if policy.hairpin else []
    return rules + _translation(policy)


def _translation(policy: Policy) -> list[str]:
    match policy.effective_kind:
        case None | NatKind.PUBLIC | NatKind.FIREWALL:
            return []
        case kind if kind in _FILTERING:
            random_ports = policy.random_ports or kind.behaviour.ports is Ports.RANDOM
            return [*endpoint_independent.outgoing(random_ports=random_ports), f"{_OUT} masquerade"]
        case NatKind.SYMMETRIC:
            return [_masquerade("fully-random"), f"{_OUT} masquerade"]
        case NatKind.PORT_BLOCK:
            return [_masquerade(f"to :{PORT_BLOCK.start}-{PORT_BLOCK.stop - 1} fully-random"), f"{_OUT} masquerade"]
        case NatKind.SEQUENTIAL:
            return [_masquerade(f"to :{_next_port()}"), f"{_OUT} masquerade"]
        case NatKind.UPNP:
            return [f"jump {MAPPING_CHAINS[2]}", f"{_OUT} masquerade"]
        case _:
            return [f"{_OUT} masquerade"]


def _masquerade(ports: str) -> str:
    return f"{_OUT} meta l4proto {{ tcp, udp }} masquerade {ports}"


def _next_port() -> str:
    # `numgen inc offset` would do, but its result is not put into network byte order: ports would step by 256.
    count = len(SEQUENTIAL_PORTS)
    pairs = ", ".join(f"{index} : {port}" for index, port in enumerate(SEQUENTIAL_PORTS))
    return f"numgen inc mod {count} map {{ {pairs} }}"


def _forward(policy: Policy) -> list[str]:
    rules = []
    if policy.kind is NatKind.PUBLIC:
        rules.append("meta nfproto ipv4 accept")
    if policy.ipv6 is Ipv6.OPEN:
        rules.append("meta nfproto ipv6 accept")
    rules += ["ct state established,related accept", "ct state invalid drop"]
    if policy.kind is NatKind.UDP_BLOCKED:
        return [*rules, 'iifname "br0" oifname "eth0" tcp dport { 80, 443 } accept']
    if policy.kind is NatKind.UPNP:
        rules.append(f"jump {MAPPING_CHAINS[0]}")
    return [*rules, 'iifname "br0" accept', "ct status dnat accept"]


def _input(policy: Policy) -> list[str]:
    # Without the filter a peer's early datagram makes an entry that holds the very tuple that a host's own needs.
    if not policy.input_filter:
        return []
    return ["icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept", 'iifname "eth0" drop']


def _elements(outside: IPv4Address | None) -> str:
    return "" if outside is None else f"elements = {{ {outside} }};"


def _chain(name: str, hook: str, rules: Sequence[str]) -> str:
    lines = "\n".join(f"        {rule}" for rule in rules)
    return f"    chain {name} {{\n        {hook}\n{lines}\n    }}"
