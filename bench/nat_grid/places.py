"""The kinds of place where a node may be, and what theory says of two of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shadowmesh.lab.host import Host
from shadowmesh.lab.nat.internet import Internet
from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.nat.router import Router
from shadowmesh.lab.nat.rules import Ipv6
from shadowmesh.lab.nat.site import Site
from shadowmesh.lab.nat.theory import Behaviour, Dependence, Method, method

_IPV6_FIREWALL = Behaviour(Dependence.ENDPOINT_INDEPENDENT, Dependence.ADDRESS_AND_PORT_DEPENDENT)


@dataclass(frozen=True, slots=True)
class Place:
    """A host, and the routers between it and the internet."""

    host: Host
    routers: tuple[Router, ...]


@dataclass(frozen=True, slots=True)
class PlaceKind:
    """`ipv6` is None where there is none."""

    name: str
    build: Callable[[Internet, str], Place]
    ipv4: Behaviour
    ipv6: Behaviour | None = None


def expected(near: PlaceKind, far: PlaceKind) -> Method:
    """The least that joins hosts of the two kinds, by the better of the families that both have."""
    methods = [method(near.ipv4, far.ipv4)]
    if near.ipv6 is not None and far.ipv6 is not None:
        methods.append(method(near.ipv6, far.ipv6))
    return min(methods, key=list(Method).index)


def _public(internet: Internet, name: str) -> Place:
    return Place(internet.host(name), ())


def _site(kind: NatKind, ipv6: Ipv6 = Ipv6.NONE) -> Callable[[Internet, str], Place]:
    def build(internet: Internet, name: str) -> Place:
        return _inside(internet.site(name, kind, ipv6=ipv6))

    return build


def _behind_carrier(kind: NatKind) -> Callable[[Internet, str], Place]:
    def build(internet: Internet, name: str) -> Place:
        carrier = internet.carrier(f"{name}-carrier", kind)
        home = internet.site(name, behind=carrier)
        return Place(home.hosts[0], (home.router, carrier.router))

    return build


def _inside(site: Site) -> Place:
    return Place(site.hosts[0], (site.router,))


def _of(name: str, kind: NatKind) -> PlaceKind:
    return PlaceKind(name, _site(kind), kind.behaviour)


def _carried(name: str, kind: NatKind) -> PlaceKind:
    return PlaceKind(name, _behind_carrier(kind), NatKind.PORT_RESTRICTED.behaviour.behind(kind.behaviour))


KINDS = (
    PlaceKind("none", _public, NatKind.PUBLIC.behaviour),
    _of("firewall", NatKind.FIREWALL),
    _of("full cone", NatKind.FULL_CONE),
    _of("addr", NatKind.ADDRESS_RESTRICTED),
    _of("port", NatKind.PORT_RESTRICTED),
    _of("port strict", NatKind.PORT_RESTRICTED_STRICT),
    _of("symmetric", NatKind.SYMMETRIC),
    _of("block", NatKind.PORT_BLOCK),
    _of("sequential", NatKind.SEQUENTIAL),
    _carried("cgnat", NatKind.SYMMETRIC),
    _carried("cgnat eim", NatKind.CARRIER),
    _of("upnp", NatKind.UPNP),
    PlaceKind("ipv6", _site(NatKind.SYMMETRIC, Ipv6.FIREWALL), NatKind.SYMMETRIC.behaviour, _IPV6_FIREWALL),
    _of("udp blocked", NatKind.UDP_BLOCKED),
)
BY_NAME = {kind.name: kind for kind in KINDS}
