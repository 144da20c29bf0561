"""What it takes to join two hosts of the simulation, by the theory of `lab.nat`: nothing here looks at what they do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile

from tests.sim.host import Host
from tests.sim.nat import behaviour as sim
from tests.sim.nat.behaviour import Nat, Pooling
from tests.sim.nat.ports import Preserving, Sequential
from tests.sim.site import Site

from shadowmesh.lab.nat.theory import Behaviour, Dependence, Method, Ports, method

_OPEN = Behaviour()
_DEPENDENCE = {
    sim.EI: Dependence.ENDPOINT_INDEPENDENT,
    sim.AD: Dependence.ADDRESS_DEPENDENT,
    sim.APD: Dependence.ADDRESS_AND_PORT_DEPENDENT,
}


@dataclass(frozen=True, slots=True)
class Expectation:
    """`doubt`: what the theory does not know of and makes it a matter of luck; empty for nearly all.

    `may_be_guessed`: two hard sides for which no method is known. Each sends to some ports of the other, which may be
    the right ones, the likelier the smaller the block that they are drawn from.
    """

    method: Method
    doubt: str = ""
    may_be_guessed: bool = False

    @property
    def is_direct(self) -> bool:
        return self.method is not Method.NEVER


def expected(a: Host, b: Host) -> Expectation:
    """The easiest of all ways: their own network, IPv6, a mapped port, and what their NATs leave of IPv4."""
    if a.site is b.site:
        return Expectation(Method.PLAIN)
    ways = [_by_ipv4(a, b)]
    if all(len(host.addresses) > 1 for host in (a, b)):
        ways.append(Expectation(method(*(_chain(host.site, 6) for host in (a, b)))))
    return min(ways, key=lambda way: (list(Method).index(way.method), way.doubt))


def _by_ipv4(a: Host, b: Host) -> Expectation:
    shared = _nearest_shared(a.site, b.site)
    shared_box = shared.boxes.get(4)
    # They know their endpoints at the internet alone: a NAT that both are behind has to turn their packets round.
    # A firewall leaves the endpoints as they are, and sees nothing of what passes inside of it.
    is_firewall = shared_box is not None and not shared_box.behaviour.translates
    if shared_box is not None and not is_firewall and not shared_box.behaviour.hairpin:
        return Expectation(Method.NEVER)
    sides = [_seen_by_ipv4(host, shared if is_firewall else None) for host in (a, b)]
    scattered = [not host.maps_port and _is_scattered(host.site) for host in (a, b)]
    # A filter of addresses knows one of a pool, and the next packet comes from another.
    sides = [_seen_from_a_pool(side) if other else side for side, other in zip(sides, reversed(scattered), strict=True)]
    needed = method(*sides)
    doubt = _doubt(needed, sides, any(scattered), any(_claims(host.site) for host in (a, b)))
    may_be_guessed = needed is Method.NEVER and all(side.udp for side in sides)
    return Expectation(needed, doubt, may_be_guessed)


def _doubt(needed: Method, sides: list[Behaviour], scattered: bool, claims: bool) -> str:
    if claims and needed is not Method.NEVER:
        return "an open input chain: a probe that comes too early spoils its port"
    if scattered and needed in (Method.PREDICTION, Method.BIRTHDAY):
        return "another address of a pool each time"
    by_endpoint = all(side.mapping is Dependence.ADDRESS_AND_PORT_DEPENDENT for side in sides)
    hard = all(side.mapping is not Dependence.ENDPOINT_INDEPENDENT for side in sides)
    if needed is Method.SOURCE_LEARNING and (by_endpoint or (hard and scattered)):
        return "each direction has endpoints of its own, and a reply never comes from where the probe went"
    return ""


def _claims(site: Site) -> bool:
    return any(4 in each.boxes and each.boxes[4].behaviour.unsolicited_claims for each in _outwards(site))


def _seen_by_ipv4(host: Host, within: Site | None) -> Behaviour:
    """A mapped port is open to everybody, whatever the router does with the others."""
    seen = _chain(host.site, 4, within)
    return replace(_OPEN, udp=seen.udp) if host.maps_port else seen


def _seen_from_a_pool(side: Behaviour) -> Behaviour:
    if side.filtering is Dependence.ADDRESS_DEPENDENT:
        return replace(side, filtering=Dependence.ADDRESS_AND_PORT_DEPENDENT)
    return side


def _is_scattered(site: Site) -> bool:
    """Each new mapping, of a box or of one inside of it, may get another address."""
    mappings_differ = False
    for nat in (each.boxes[4].behaviour for each in _outwards(site) if 4 in each.boxes):
        mappings_differ |= nat.mapping is not sim.EI
        if mappings_differ and nat.pooling is Pooling.ARBITRARY and nat.outside_addresses > 1:
            return True
    return False


def _chain(site: Site, version: int, within: Site | None = None) -> Behaviour:
    """All boxes between the site and the internet, or a network within, in a row."""
    seen = _OPEN
    for each in takewhile(lambda outer: outer is not within, _outwards(site)):
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
    # NAT inside shows a new endpoint each time, so that all are first ones.
    keeps = nat.mapping is sim.EI or inner.mapping is not Dependence.ENDPOINT_INDEPENDENT
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
