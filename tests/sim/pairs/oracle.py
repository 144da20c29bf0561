"""What it takes to join two hosts of the simulation, by the theory of `lab.nat`: nothing here looks at what they do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

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
    """`by_chance`: nothing that either side can know makes it likely in one attempt."""

    method: Method
    by_chance: bool = False

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
    return min(ways, key=lambda way: (list(Method).index(way.method), way.by_chance))


def _by_ipv4(a: Host, b: Host) -> Expectation:
    shared = _nearest_shared(a.site, b.site)
    shared_box = shared.boxes.get(4)
    # They know their endpoints at the internet alone, so that what both are behind has to turn their packets round.
    if shared_box is not None and not shared_box.behaviour.hairpin:
        return Expectation(Method.NEVER)
    sides = [_seen_by_ipv4(host) for host in (a, b)]
    scattered = [not host.maps_port and _is_scattered(host.site) for host in (a, b)]
    # A filter of addresses knows one of a pool, and the next packet comes from another.
    sides = [_seen_from_a_pool(side) if other else side for side, other in zip(sides, reversed(scattered), strict=True)]
    needed = method(*sides)
    is_guessed = needed in (Method.PREDICTION, Method.BIRTHDAY)
    return Expectation(needed, by_chance=is_guessed and any(scattered))


def _seen_by_ipv4(host: Host) -> Behaviour:
    """A mapped port is open to everybody, whatever the router does with the others."""
    seen = _chain(host.site, 4)
    return replace(_OPEN, udp=seen.udp) if host.maps_port else seen


def _seen_from_a_pool(side: Behaviour) -> Behaviour:
    if side.filtering is Dependence.ADDRESS_DEPENDENT:
        return replace(side, filtering=Dependence.ADDRESS_AND_PORT_DEPENDENT)
    return side


def _is_scattered(site: Site) -> bool:
    """Each new mapping may get another address."""
    return any(
        nat.pooling is Pooling.ARBITRARY and nat.outside_addresses > 1 and nat.mapping is not sim.EI
        for nat in (each.boxes[4].behaviour for each in _outwards(site) if 4 in each.boxes)
    )


def _chain(site: Site, version: int) -> Behaviour:
    """All boxes between the site and the internet, in a row."""
    seen = _OPEN
    for each in _outwards(site):
        if version in each.boxes:
            seen = seen.behind(of(each.boxes[version].behaviour))
    return seen


def of(nat: Nat) -> Behaviour:
    """In the terms of the theory."""
    return Behaviour(_DEPENDENCE[nat.mapping], _DEPENDENCE[nat.filtering], _ports(nat), udp=not nat.blocks_udp)


def _ports(nat: Nat) -> Ports:
    if isinstance(nat.ports, Sequential):
        return Ports.SEQUENTIAL
    # With a mapping a destination the first one takes the port, and the others are drawn.
    is_preserved = isinstance(nat.ports, Preserving) and nat.mapping is sim.EI
    return Ports.PRESERVED if is_preserved else Ports.RANDOM


def _nearest_shared(a: Site, b: Site) -> Site:
    above = list(_outwards(a))
    return next(site for site in _outwards(b) if site in above)


def _outwards(site: Site) -> Iterator[Site]:
    """The site itself, then what it is behind, to the internet."""
    each: Site | None = site
    while each is not None:
        yield each
        each = each.parent
