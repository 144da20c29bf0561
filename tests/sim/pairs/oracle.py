"""What it takes to join two hosts of the simulation, by the theory of `lab.nat`: nothing here looks at what they do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tests.sim.host import Host
from tests.sim.nat import behaviour as sim
from tests.sim.nat.behaviour import Nat, Pooling
from tests.sim.nat.ports import Preserving, Sequential
from tests.sim.site import Site

from shadowmesh.lab.nat.theory import Behaviour, Dependence, Method, Ports, method

_OPEN = Behaviour()
_ANOTHER_ADDRESS = "another address of a pool each time"
_DEPENDENCE = {
    sim.EI: Dependence.ENDPOINT_INDEPENDENT,
    sim.AD: Dependence.ADDRESS_DEPENDENT,
    sim.APD: Dependence.ADDRESS_AND_PORT_DEPENDENT,
}


@dataclass(frozen=True, slots=True)
class Expectation:
    """`doubt`: what the theory does not know of and makes it a matter of luck; empty for nearly all."""

    method: Method
    doubt: str = ""

    @property
    def is_direct(self) -> bool:
        return self.method is not Method.NEVER


def expected(a: Host, b: Host) -> Expectation:
    """The easiest of all ways: their own network, IPv6, a mapped port, and what their NATs leave of IPv4."""
    if a.site is b.site:
        return Expectation(Method.PLAIN)
    ways = [_by_ipv4(a, b)]
    if all(len(host.addresses) > 1 for host in (a, b)):
        ways.append(Expectation(method(*(_chain(list(_outwards(host.site)), 6) for host in (a, b)))))
    return min(ways, key=lambda way: (list(Method).index(way.method), way.doubt))


def _by_ipv4(a: Host, b: Host) -> Expectation:
    shared = _nearest_shared(a.site, b.site)
    shared_nat = next(filter(_translates, _outwards(shared)), None)
    # They know their endpoints at the internet alone, so that a NAT which both are behind has to turn their packets
    # round. Behind a firewall alone they have the same endpoints for each other as there, and their packets pass none.
    if shared_nat is not None and not shared_nat.boxes[4].behaviour.hairpin:
        return Expectation(Method.NEVER)
    crossed = [list(_outwards(host.site)) for host in (a, b)]
    if shared_nat is None:
        crossed = [path[: path.index(shared)] for path in crossed]
    sides = [_seen_by_ipv4(host, path) for host, path in zip((a, b), crossed, strict=True)]
    scattered = [not host.maps_port and _is_scattered(path) for host, path in zip((a, b), crossed, strict=True)]
    # A filter of addresses knows one of a pool, and the next packet comes from another.
    seen = [_seen_from_a_pool(side) if other else side for side, other in zip(sides, reversed(scattered), strict=True)]
    needed = method(*seen)
    if needed is Method.NEVER and method(*sides) is not Method.NEVER:
        return Expectation(needed, _ANOTHER_ADDRESS)  # or from the same
    return Expectation(needed, _doubt(needed, seen, any(scattered), any(map(_claims, crossed))))


def _doubt(needed: Method, sides: list[Behaviour], scattered: bool, claims: bool) -> str:
    if claims and needed is not Method.NEVER:
        return "an open input chain: a probe that comes too early spoils its port"
    if scattered and needed in (Method.PREDICTION, Method.BIRTHDAY):
        return _ANOTHER_ADDRESS
    by_endpoint = all(side.mapping is Dependence.ADDRESS_AND_PORT_DEPENDENT for side in sides)
    hard = all(side.mapping is not Dependence.ENDPOINT_INDEPENDENT for side in sides)
    if needed is Method.SOURCE_LEARNING and (by_endpoint or (hard and scattered)):
        return "each direction has endpoints of its own, and a reply never comes from where the probe went"
    return ""


def _translates(site: Site) -> bool:
    return 4 in site.boxes and site.boxes[4].behaviour.translates


def _claims(path: Sequence[Site]) -> bool:
    return any(4 in each.boxes and each.boxes[4].behaviour.unsolicited_claims for each in path)


def _seen_by_ipv4(host: Host, path: Sequence[Site]) -> Behaviour:
    """A mapped port is open to everybody, whatever the router does with the others."""
    seen = _chain(path, 4)
    return replace(_OPEN, udp=seen.udp) if host.maps_port else seen


def _seen_from_a_pool(side: Behaviour) -> Behaviour:
    if side.filtering is Dependence.ADDRESS_DEPENDENT:
        return replace(side, filtering=Dependence.ADDRESS_AND_PORT_DEPENDENT)
    return side


def _is_scattered(path: Sequence[Site]) -> bool:
    """Each new mapping, of a box or of one inside of it, may get another address."""
    mappings_differ = False
    for nat in (each.boxes[4].behaviour for each in path if 4 in each.boxes):
        mappings_differ |= nat.mapping is not sim.EI
        if mappings_differ and nat.pooling is Pooling.ARBITRARY and nat.outside_addresses > 1:
            return True
    return False


def _chain(path: Sequence[Site], version: int) -> Behaviour:
    """All boxes on the path, outwards, in a row."""
    seen = _OPEN
    for each in path:
        if version in each.boxes:
            seen = seen.behind(of(each.boxes[version].behaviour, seen))
    return seen


def of(nat: Nat, inner: Behaviour = _OPEN) -> Behaviour:
    """In the terms of the theory. `inner`: what lies between the host and this box."""
    return Behaviour(_DEPENDENCE[nat.mapping], _DEPENDENCE[nat.filtering], _ports(nat, inner), udp=not nat.blocks_udp)


def _ports(nat: Nat, inner: Behaviour) -> Ports:
    if isinstance(nat.ports, Sequential):
        return Ports.SEQUENTIAL
    # The first mapping of an inside endpoint keeps its port; with a mapping a destination the others are drawn. A hard
    # NAT inside shows a new endpoint each time, so that all are first ones. So are those of the fresh ports from which
    # a node sends where the mapping depends on the address alone, if it finds that they are counted inside.
    are_first = inner.mapping is not Dependence.ENDPOINT_INDEPENDENT
    are_counted = nat.mapping is sim.AD and inner.ports is Ports.SEQUENTIAL
    keeps = nat.mapping is sim.EI or are_first or are_counted
    return Ports.PRESERVED if keeps and isinstance(nat.ports, Preserving) else Ports.RANDOM


def _nearest_shared(a: Site, b: Site) -> Site:
    above = list(_outwards(a))
    return next(site for site in _outwards(b) if site in above)


def _outwards(site: Site) -> Iterator[Site]:
    """The site itself, then what it is behind, to the internet."""
    each: Site | None = site
    while each is not None:
        yield each
        each = each.parent
