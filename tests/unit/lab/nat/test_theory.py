from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.nat.theory import Behaviour, Dependence, Method, Ports, method, punches

behaviours = st.builds(
    Behaviour, st.sampled_from(Dependence), st.sampled_from(Dependence), st.sampled_from(Ports), st.booleans()
)
EI, AD, APD = Dependence
CONE = Behaviour(EI, EI)
ADDRESS_RESTRICTED = Behaviour(EI, AD)
PORT_RESTRICTED = Behaviour(EI, APD)
RANDOM = Behaviour(APD, APD, Ports.RANDOM)
SEQUENTIAL = Behaviour(APD, APD, Ports.SEQUENTIAL)
BLOCKED = Behaviour(udp=False)


@pytest.mark.parametrize(
    ("a", "b", "needed"),
    [
        (CONE, PORT_RESTRICTED, Method.PLAIN),
        (PORT_RESTRICTED, PORT_RESTRICTED, Method.PLAIN),
        (RANDOM, CONE, Method.SOURCE_LEARNING),
        (RANDOM, ADDRESS_RESTRICTED, Method.SOURCE_LEARNING),
        (SEQUENTIAL, PORT_RESTRICTED, Method.PREDICTION),
        (SEQUENTIAL, SEQUENTIAL, Method.PREDICTION),
        (RANDOM, PORT_RESTRICTED, Method.BIRTHDAY),
        (RANDOM, RANDOM, Method.NEVER),
        (RANDOM, SEQUENTIAL, Method.NEVER),
        (CONE, BLOCKED, Method.NEVER),
        # Neither's announced endpoint has sent to the other; then, one lets in everybody there.
        (Behaviour(APD, AD, Ports.RANDOM), Behaviour(APD, AD, Ports.RANDOM), Method.NEVER),
        (Behaviour(APD, EI, Ports.RANDOM), Behaviour(APD, AD, Ports.RANDOM), Method.SOURCE_LEARNING),
        (Behaviour(APD, EI, Ports.RANDOM), RANDOM, Method.NEVER),
    ],
)
def test_a_pair_needs_the_method_that_its_behaviours_leave(a: Behaviour, b: Behaviour, needed: Method) -> None:
    assert method(a, b) is needed


@given(behaviours, behaviours)
def test_the_order_of_the_two_does_not_matter(a: Behaviour, b: Behaviour) -> None:
    assert method(a, b) is method(b, a)


@given(behaviours, behaviours, behaviours)
def test_another_nat_never_makes_a_pair_easier_unless_it_counts_where_the_first_one_drew(
    a: Behaviour, outer: Behaviour, b: Behaviour
) -> None:
    assume(not (a.ports is Ports.RANDOM and outer.ports is Ports.SEQUENTIAL))
    order = list(Method)
    assert order.index(method(a.behind(outer), b)) >= order.index(method(a, b))


def test_the_outer_nat_chooses_the_ports_that_are_seen() -> None:
    home = Behaviour(EI, APD, Ports.RANDOM)
    assert method(home.behind(SEQUENTIAL), PORT_RESTRICTED) is Method.PREDICTION
    assert method(RANDOM.behind(SEQUENTIAL), PORT_RESTRICTED) is Method.PREDICTION
    assert method(SEQUENTIAL.behind(RANDOM), PORT_RESTRICTED) is Method.BIRTHDAY
    assert method(SEQUENTIAL.behind(CONE), PORT_RESTRICTED) is Method.PREDICTION


def test_a_filter_that_knows_addresses_looks_at_the_mapping_as_far_as_itself() -> None:
    """A carrier that maps anew for each address lets all in: the home behind it has sent to the peer's address from the
    mapping that it shows to everybody, and lets the peer in. The other way round the filter knows the observer alone.
    """
    open_carrier, peer = Behaviour(AD, EI, Ports.RANDOM), Behaviour(AD, AD, Ports.RANDOM)
    assert method(ADDRESS_RESTRICTED.behind(open_carrier), peer) is Method.SOURCE_LEARNING
    assert method(open_carrier.behind(ADDRESS_RESTRICTED), peer) is Method.NEVER
    assert method(CONE.behind(ADDRESS_RESTRICTED).behind(open_carrier).behind(CONE), peer) is Method.SOURCE_LEARNING
    assert method(ADDRESS_RESTRICTED.behind(open_carrier).behind(ADDRESS_RESTRICTED), peer) is Method.NEVER


@given(behaviours)
def test_a_host_without_any_nat_is_reached_by_everyone_who_has_udp(a: Behaviour) -> None:
    assert punches(a, Behaviour()) == a.udp
    assert a.behind(Behaviour()) == a


def test_the_grid_of_all_kinds_is_the_one_that_was_measured() -> None:
    """Plain punching, + joined: what real sockets did through real routers before the theory was written down."""
    kinds = [
        NatKind.PUBLIC,
        NatKind.FIREWALL,
        NatKind.FULL_CONE,
        NatKind.ADDRESS_RESTRICTED,
        NatKind.PORT_RESTRICTED,
        NatKind.SYMMETRIC,
        NatKind.SEQUENTIAL,
        NatKind.UDP_BLOCKED,
    ]
    rows = ["+++++++.", "+++++...", "+++++++.", "+++++++.", "+++++...", "+.++....", "+.++....", "........"]
    measured = {
        (a, b): cell == "+" for a, row in zip(kinds, rows, strict=True) for b, cell in zip(kinds, row, strict=True)
    }
    assert {(a, b): punches(a.behaviour, b.behaviour) for a, b in product(kinds, kinds)} == measured
