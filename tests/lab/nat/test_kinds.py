"""Each kind of router behaves, as sockets see it, in the way that it is declared to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from tests.lab.nat.place import Place, at_once, label, place

from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.nat.probe import Observation
from shadowmesh.lab.nat.rules import PORT_BLOCK, Ipv6
from shadowmesh.lab.nat.site import Site
from shadowmesh.lab.nat.theory import Behaviour, Dependence, Ports

pytestmark = pytest.mark.privileged

HAIRPINNING = [
    NatKind.FULL_CONE,
    NatKind.ADDRESS_RESTRICTED,
    NatKind.PORT_RESTRICTED,
    NatKind.PORT_RESTRICTED_STRICT,
    NatKind.CARRIER,
]
CARRIERS = [NatKind.CARRIER, NatKind.SYMMETRIC]
TRANSLATING = [kind for kind in NatKind if kind.translates]


@dataclass(frozen=True)
class Found:
    """What was observed of each site, by its name."""

    by_name: Mapping[str, Observation | None]
    hairpin: Mapping[str, bool]

    def of(self, name: str) -> Observation:
        observation = self.by_name[name]
        assert observation is not None
        return observation


@pytest.fixture(scope="module")
def found() -> Iterator[Found]:
    with place() as world:
        sites, sites6 = make_sites(world), make_ipv6_sites(world)
        observed = at_once(lambda site: world.observe(site.hosts[0]), list(sites.values()))
        observed6 = at_once(lambda site: world.observe6(site.hosts[0]), list(sites6.values()))
        couples = {name: site for name, site in sites.items() if len(site.hosts) > 1}
        turned = at_once(world.hairpins, list(couples.values()))
        yield Found(
            dict(zip([*sites, *sites6], [*observed, *observed6], strict=True)),
            dict(zip(couples, turned, strict=True)),
        )


def make_sites(world: Place) -> dict[str, Site]:
    """Two hosts where hairpin is to be tried."""
    sites = {label(kind): world.internet.site(label(kind), kind, hosts=1 + (kind in HAIRPINNING)) for kind in NatKind}
    for kind in HAIRPINNING:
        name = f"{label(kind)}-turn"
        sites[name] = world.internet.site(name, kind, hosts=2, hairpin=True)
    for kind in CARRIERS:
        carrier = world.internet.carrier(f"{label(kind)}-grade", kind)
        sites[f"behind-{label(kind)}"] = world.internet.site(f"behind-{label(kind)}", behind=carrier)
    return sites


def make_ipv6_sites(world: Place) -> dict[str, Site]:
    made = world.internet
    carrier = made.carrier("carrier6", ipv6=True)
    return {
        "firewall6": made.site("firewall6", NatKind.SYMMETRIC, ipv6=Ipv6.FIREWALL),
        "open6": made.site("open6", NatKind.SYMMETRIC, ipv6=Ipv6.OPEN),
        "only6": made.site("only6", None, ipv6=Ipv6.FIREWALL),
        "blocked6": made.site("blocked6", NatKind.UDP_BLOCKED, ipv6=Ipv6.FIREWALL),
        "behind6": made.site("behind6", ipv6=Ipv6.FIREWALL, behind=carrier),
    }


@pytest.mark.parametrize("kind", [kind for kind in NatKind if kind.behaviour.udp])
def test_a_router_maps_and_filters_as_its_kind_says(found: Found, kind: NatKind) -> None:
    assert_behaves(found.of(label(kind)), kind.behaviour)


@pytest.mark.parametrize("kind", TRANSLATING)
def test_a_router_that_translates_hides_the_address_inside(found: Found, kind: NatKind) -> None:
    observation = found.by_name[label(kind)]
    assert observation is None or observation.seen[0][0].startswith("11.18.")
    assert observation is None or observation.local[0].startswith("192.168.")


@pytest.mark.parametrize("kind", [NatKind.PUBLIC, NatKind.FIREWALL])
def test_a_router_that_does_not_translate_shows_the_hosts_own_endpoint(found: Found, kind: NatKind) -> None:
    assert not found.of(label(kind)).translated


def test_where_udp_is_blocked_nothing_is_seen(found: Found) -> None:
    assert found.by_name[label(NatKind.UDP_BLOCKED)] is None
    assert found.by_name["blocked6"] is None


def test_the_ports_of_a_block_are_of_the_block(found: Found) -> None:
    assert {port for _, port in found.of(label(NatKind.PORT_BLOCK)).seen} <= set(PORT_BLOCK)


@pytest.mark.parametrize("kind", CARRIERS)
def test_behind_a_carrier_the_harder_property_of_the_two_counts(found: Found, kind: NatKind) -> None:
    assert_behaves(found.of(f"behind-{label(kind)}"), NatKind.PORT_RESTRICTED.behaviour.behind(kind.behaviour))


@pytest.mark.parametrize("kind", HAIRPINNING)
def test_hairpin_is_what_was_asked_for_and_changes_nothing_else(found: Found, kind: NatKind) -> None:
    assert not found.hairpin[label(kind)]
    assert found.hairpin[f"{label(kind)}-turn"]
    assert_behaves(found.of(f"{label(kind)}-turn"), kind.behaviour)


@pytest.mark.parametrize("name", ["firewall6", "only6", "behind6"])
def test_an_ipv6_firewall_lets_in_only_what_was_asked_for(found: Found, name: str) -> None:
    observation = found.of(name)
    assert observation.local[0].startswith("2a19:")
    assert not observation.translated
    assert_behaves(observation, NatKind.FIREWALL.behaviour)


def test_without_the_firewall_ipv6_lets_everyone_in(found: Found) -> None:
    assert_behaves(found.of("open6"), NatKind.PUBLIC.behaviour)


def assert_behaves(observation: Observation, behaviour: Behaviour) -> None:
    assert (observation.mapping, observation.filtering) == (behaviour.mapping, behaviour.filtering)
    match behaviour.ports:
        case Ports.PRESERVED:
            assert observation.port_preserved
        case Ports.SEQUENTIAL:
            assert observation.port_deltas == (1, 1, 1)
        case Ports.RANDOM:
            assert not observation.port_preserved
            stable = behaviour.mapping is Dependence.ENDPOINT_INDEPENDENT
            assert (observation.port_deltas == (0, 0, 0)) == stable
            assert observation.port_deltas != (1, 1, 1)
