"""Which pairs of sites can be joined: what sockets do agrees with what theory says, for every pair of kinds."""

import itertools
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.lab.nat.nat_pmp import map_port
from tests.lab.nat.place import Place, label, party, place

from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.nat.observer import Endpoint, bound, endpoint
from shadowmesh.lab.nat.punch import Party, punch
from shadowmesh.lab.nat.site import Site
from shadowmesh.lab.nat.theory import Behaviour, Method, method, punches

pytestmark = pytest.mark.privileged

CARRIERS = [NatKind.CARRIER, NatKind.SYMMETRIC]
MAPPED = "upnp-mapped"
NAMES = [*map(label, NatKind), *(f"behind-{label(kind)}" for kind in CARRIERS), MAPPED]
PAIRS = list(itertools.combinations_with_replacement(NAMES, 2))


@dataclass(frozen=True)
class Home:
    party: Party
    behaviour: Behaviour


@pytest.fixture(scope="module")
def world() -> Iterator[Place]:
    with place() as made:
        yield made


@pytest.fixture(scope="module")
def streets(world: Place) -> tuple[dict[str, Home], dict[str, Home]]:
    """Two homes of each kind, because both ends of a pair may be of one kind."""
    return street(world, "a"), street(world, "b")


@pytest.mark.parametrize("learn_sources", [True, False])
def test_every_pair_is_joined_or_not_as_theory_says(
    world: Place, streets: tuple[dict[str, Home], dict[str, Home]], learn_sources: bool
) -> None:
    near, far = streets
    with bound(world.watchers[0].socket, str(world.watchers[0].ipv4)) as observer:
        parties = [(near[one].party, far[other].party) for one, other in PAIRS]
        joined = punch(parties, observer, learn_sources=learn_sources)
    methods = [method(near[one].behaviour, far[other].behaviour) for one, other in PAIRS]
    enough = {Method.PLAIN, Method.SOURCE_LEARNING} if learn_sources else {Method.PLAIN}
    expected = [needed in enough for needed in methods]
    assert dict(zip(PAIRS, joined, strict=True)) == dict(zip(PAIRS, expected, strict=True))


@pytest.mark.parametrize("hairpin", [True, False])
def test_two_homes_of_one_carrier_need_its_hairpin(world: Place, hairpin: bool) -> None:
    name = "turning" if hairpin else "straight"
    carrier = world.internet.carrier(name, hairpin=hairpin)
    one, other = (world.internet.site(f"{name}-{number}", behind=carrier) for number in (1, 2))
    with bound(world.watchers[0].socket, str(world.watchers[0].ipv4)) as observer:
        assert punch([(party(one.hosts[0]), party(other.hosts[0]))], observer) == [hairpin]


def test_the_grid_has_pairs_of_every_method() -> None:
    behaviours = [kind.behaviour for kind in NatKind]
    assert {method(a, b) for a in behaviours for b in behaviours} == set(Method)
    assert punches(NatKind.FULL_CONE.behaviour, NatKind.SYMMETRIC.behaviour)


def street(world: Place, name: str) -> dict[str, Home]:
    homes = {}
    for kind in NatKind:
        site = world.internet.site(f"{label(kind)}-{name}", kind)
        homes[label(kind)] = Home(party(site.hosts[0]), kind.behaviour)
        if kind is NatKind.UPNP:
            homes[MAPPED] = Home(mapped(site), NatKind.FULL_CONE.behaviour)
    for kind in CARRIERS:
        carrier = world.internet.carrier(f"{label(kind)}-grade-{name}", kind)
        site = world.internet.site(f"behind-{label(kind)}-{name}", behind=carrier)
        behaviour = NatKind.PORT_RESTRICTED.behaviour.behind(kind.behaviour)
        homes[f"behind-{label(kind)}"] = Home(party(site.hosts[0]), behaviour)
    return homes


def mapped(site: Site) -> Party:
    """A host that asks its router for a port and announces that."""
    host = site.hosts[0]

    def ask(opened: socket.socket) -> Endpoint:
        return map_port(host, site, endpoint(opened)[1])

    return Party(host.socket, str(host.ipv4), ask)
