"""What a site's boxes do, seen from outside as in RFC 5780 §4: two servers with two ports each, and fresh sockets."""

from __future__ import annotations

from tests.sim.nat.behaviour import AD, APD, EI, Address, Dependence
from tests.sim.nat.box import Packet
from tests.sim.site import Site, ascend, descend

from shadowmesh.wire.endpoint import Endpoint

SERVERS = tuple(Endpoint.of(address, port) for address in ("203.0.113.1", "203.0.113.2") for port in (3478, 3479))
_PRIMARY, _OTHER_PORT, _OTHER_ADDRESS, _OTHER_BOTH = SERVERS


def reflexive(site: Site, inside: Endpoint, server: Endpoint, now: float) -> Endpoint | None:
    """The source that the server sees; None when nothing reaches it."""
    route = ascend(site, Packet(inside, server), now)
    return None if route is None else route.packet.source


def reaches(site: Site, outside: Endpoint, source: Endpoint, now: float) -> Endpoint | None:
    """The inside endpoint that a packet from the source arrives at."""
    internet = site
    while internet.parent is not None:
        internet = internet.parent
    route = descend(internet, Packet(source, outside), now)
    return None if route is None or route.site is not site else route.packet.destination


def mapping(site: Site, inside: Endpoint, now: float) -> Dependence | None:
    """RFC 5780 §4.3. None when UDP is blocked."""
    first, second, third = (reflexive(site, inside, server, now) for server in (_PRIMARY, _OTHER_ADDRESS, _OTHER_BOTH))
    if first is None:
        return None
    if first == second:
        return EI
    return AD if second == third else APD


def filtering(site: Site, inside: Endpoint, now: float) -> Dependence | None:
    """RFC 5780 §4.4, from a socket that has sent nothing before. None when UDP is blocked."""
    outside = reflexive(site, inside, _PRIMARY, now)
    if outside is None:
        return None
    if reaches(site, outside, _OTHER_BOTH, now) is not None:
        return EI
    return AD if reaches(site, outside, _OTHER_PORT, now) is not None else APD


def hairpins(site: Site, host: Address, now: float) -> bool:
    """RFC 5780 §4.5: whether one inside socket reaches another by its outside endpoint."""
    first, second = Endpoint(host, 50_001), Endpoint(host, 50_002)
    seen_of_first, seen_of_second = (reflexive(site, inside, _PRIMARY, now) for inside in (first, second))
    if seen_of_first is None or seen_of_second is None:
        return False
    ascend(site, Packet(second, seen_of_first), now)  # opens the filter for the other way
    route = ascend(site, Packet(first, seen_of_second), now)
    return route is not None and route.packet.destination == second
