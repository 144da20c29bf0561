"""A few hundred random pairs; `make pairs` tries 10,000. A failure names the seed that shows it alone."""

from __future__ import annotations

from itertools import combinations_with_replacement

import pytest
from tests.sim.nat.behaviour import FIREWALL, LINUX, SYMMETRIC, Nat
from tests.sim.nat.lab_results import SITES
from tests.sim.pairs import faults
from tests.sim.pairs.mix import PLACES, SHARES, Mix
from tests.sim.pairs.oracle import of
from tests.sim.pairs.report import interval
from tests.sim.pairs.scenario import Access, Scenario, uniform
from tests.sim.pairs.trial import run

from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.nat.theory import Behaviour, Method, method

LAB_KINDS = {
    "none": NatKind.PUBLIC,
    "firewall": NatKind.FIREWALL,
    "full_cone": NatKind.FULL_CONE,
    "address_restricted": NatKind.ADDRESS_RESTRICTED,
    "port_restricted": NatKind.PORT_RESTRICTED,
    "symmetric": NatKind.SYMMETRIC,
    "symmetric_sequential": NatKind.SEQUENTIAL,
    "udp_blocked": NatKind.UDP_BLOCKED,
}

FOUND_A_BUG = (23, 47, 86, 116, 327, 348)
UNIFORM_FOUND_A_BUG = (228, 287, 759, 1302, 1694, 4752)


@pytest.mark.parametrize("seed", [*range(90), *UNIFORM_FOUND_A_BUG])
def test_a_pair_of_any_two_networks_does_what_the_theory_says(seed: int) -> None:
    outcome = run(uniform(seed))
    assert not outcome.problem, f"python -m tests.sim.random_pairs --mix uniform --only {seed}"


@pytest.mark.parametrize("seed", range(60))
def test_a_pair_of_networks_as_people_have_them_does_what_the_theory_says(seed: int) -> None:
    outcome = run(Mix.stated().draw(seed))
    assert not outcome.problem, f"python -m tests.sim.random_pairs --mix stated --only {seed}"


@pytest.mark.parametrize("seed", [*range(20), *FOUND_A_BUG])
def test_a_pair_is_direct_in_bad_weather_and_again_after_a_trouble(seed: int) -> None:
    recovery = faults.run(Mix.stated().draw(seed))
    assert recovery is None or not recovery.problem, recovery


@pytest.mark.parametrize("kinds", list(combinations_with_replacement(LAB_KINDS, 2)), ids=str)
def test_the_kinds_of_the_lab_come_out_here_as_there(kinds: tuple[str, str]) -> None:
    """The lab's own theory of its kinds, which real nodes are compared with there, not that of the model's boxes."""
    outcome = run(Scenario(1, (Access(SITES[kinds[0]]), Access(SITES[kinds[1]]))))
    needed = method(*(LAB_KINDS[kind].behaviour for kind in kinds))
    assert (outcome.expectation.method, outcome.direct) == (needed, needed is not Method.NEVER)
    assert not outcome.problem


def test_the_model_of_each_lab_kind_behaves_as_its_kind() -> None:
    for name, kind in LAB_KINDS.items():
        seen = Behaviour()
        for nat in SITES[name]:
            seen = seen.behind(of(nat, seen))
        assert seen.udp == kind.behaviour.udp
        assert not seen.udp or (seen.mapping, seen.filtering) == (kind.behaviour.mapping, kind.behaviour.filtering)


@pytest.mark.parametrize("seed", [14, 2111])
def test_a_nat_that_is_found_to_count_when_ports_were_guessed_already_gets_fresh_ones(seed: int) -> None:
    """Its host has just started: 256 ports have had their mappings before the peer foretells the next ones."""
    outcome = run(uniform(seed))
    assert outcome.expectation.method is Method.PREDICTION
    assert outcome.took_s < 5


@pytest.mark.parametrize("shared", [FIREWALL, Nat(hairpin=True), Nat(hairpin=False), None], ids=str)
def test_what_two_networks_are_both_behind_matters_only_when_it_translates(shared: Nat | None) -> None:
    """Through a firewall alone they see each other as the internet sees them, and their packets do not pass it."""
    boxes = () if shared is None else (shared,)
    outcome = run(Scenario(1, (Access((*boxes, LINUX)), Access((*boxes, SYMMETRIC))), shared=len(boxes)))
    turned_round = shared is None or shared.hairpin or not shared.translates
    assert outcome.expectation.method is (Method.BIRTHDAY if turned_round else Method.NEVER)
    assert not outcome.problem


def test_the_shares_of_places_add_up_and_every_share_says_where_it_comes_from() -> None:
    assert sum(share.value for share in PLACES.values()) == pytest.approx(1.0)
    assert all(share.source and 0 <= share.value <= 1 for share in (*PLACES.values(), *SHARES.values()))


def test_the_interval_of_a_rate_is_wilsons() -> None:
    low, high = interval(95, 100)
    assert (round(low, 4), round(high, 4)) == (0.8882, 0.9785)  # as R's prop.test without correction
