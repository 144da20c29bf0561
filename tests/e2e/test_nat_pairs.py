"""Real nodes behind real NATs: one pair for each way in which two can be joined, or not, and what it costs the routers.

All pairs: `make grid`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from bench.nat_grid.city import all_meet, city
from bench.nat_grid.meeting import Meeting, Outcome
from bench.nat_grid.places import BY_NAME, expected

from shadowmesh.lab.nat.theory import Method

pytestmark = pytest.mark.privileged

PAIRS = {
    ("port", "port strict"): Method.PLAIN,
    ("symmetric", "addr"): Method.SOURCE_LEARNING,
    ("sequential", "port"): Method.PREDICTION,
    ("sequential", "sequential"): Method.PREDICTION,
    ("symmetric", "port"): Method.BIRTHDAY,
    ("block", "port strict"): Method.BIRTHDAY,
    ("symmetric", "cgnat eim"): Method.BIRTHDAY,
    ("ipv6", "ipv6"): Method.PLAIN,
    ("symmetric", "symmetric"): Method.NEVER,
    ("udp blocked", "port"): Method.NEVER,
}
FEW_ENTRIES = 40  # in a home router's table: candidates, predicted ports, observers
HELD_ENTRIES = 256 + FEW_ENTRIES  # the sockets of a birthday
TRIED_ENTRIES = 1024 + FEW_ENTRIES  # and its probes
TRIES = 2  # of ports guessed once in vain, before the attempt ends


@pytest.fixture(scope="module")
def outcomes() -> Iterator[Mapping[str, Outcome]]:
    """All pairs meet at the same time, each in places of its own."""
    with city() as town:
        meetings = [
            Meeting(town.settle(BY_NAME[near], f"a{number}"), town.settle(BY_NAME[far], f"b{number}"), method)
            for number, ((near, far), method) in enumerate(PAIRS.items())
        ]
        meetings.append(town.neighbours())
        town.wake()
        yield {result.meeting.name: result.outcome for result in all_meet(meetings)}


@pytest.mark.parametrize(("near", "far"), PAIRS)
def test_the_pairs_show_all_that_theory_knows(near: str, far: str) -> None:
    assert expected(BY_NAME[near], BY_NAME[far]) is PAIRS[near, far]
    assert set(PAIRS.values()) == set(Method)


@pytest.mark.parametrize("pair", [pair for pair, method in PAIRS.items() if method is not Method.NEVER], ids=" x ".join)
def test_data_passes_directly(outcomes: Mapping[str, Outcome], pair: tuple[str, str]) -> None:
    outcome = outcomes[" x ".join(pair)]
    assert outcome.is_direct, outcome


@pytest.mark.parametrize(
    "pair", [pair for pair, method in PAIRS.items() if method is not Method.BIRTHDAY], ids=" x ".join
)
def test_a_pair_without_guesses_costs_a_router_few_entries(
    outcomes: Mapping[str, Outcome], pair: tuple[str, str]
) -> None:
    assert max(outcomes[" x ".join(pair)].flows) <= FEW_ENTRIES


@pytest.mark.parametrize("hard", ["symmetric x port", "block x port strict"])
def test_guessed_ports_stay_within_their_budget(outcomes: Mapping[str, Outcome], hard: str) -> None:
    held, tried = outcomes[hard].flows
    assert held <= TRIES * HELD_ENTRIES
    assert tried <= TRIES * TRIED_ENTRIES


def test_a_carrier_that_filters_nothing_also_holds_what_comes_from_guessed_ports(
    outcomes: Mapping[str, Outcome],
) -> None:
    held, tried = outcomes["symmetric x cgnat eim"].flows
    assert held <= TRIES * HELD_ENTRIES
    assert tried <= TRIES * (TRIED_ENTRIES + HELD_ENTRIES)


def test_a_subscriber_with_a_small_block_of_ports_keeps_most_of_them(outcomes: Mapping[str, Outcome]) -> None:
    assert outcomes["block x port strict"].flows[0] <= TRIES * (64 + FEW_ENTRIES)


def test_neighbours_talk_through_their_own_network(outcomes: Mapping[str, Outcome]) -> None:
    outcome = outcomes["one home, two hosts"]
    assert outcome.is_direct, outcome
    assert outcome.path.startswith("192.168.")


def test_firewalls_of_ipv6_are_passed_where_nats_are_not(outcomes: Mapping[str, Outcome]) -> None:
    assert outcomes["ipv6 x ipv6"].path.startswith("[")


def test_the_status_tells_the_reason_too(outcomes: Mapping[str, Outcome]) -> None:
    assert "relay needed: both routers" in outcomes["symmetric x symmetric"].status
    assert outcomes["symmetric x port"].status == "connected"


def test_who_cannot_be_reached_is_told_why_and_what_to_do(outcomes: Mapping[str, Outcome]) -> None:
    assert outcomes["symmetric x symmetric"].reason == (
        "can't connect: relay needed: both routers choose another port for each peer: "
        "switch on UPnP, NAT-PMP or PCP in one of them, or use a network with IPv6"
    )
    assert outcomes["udp blocked x port"].reason == (
        "can't connect: relay needed: no UDP passes out of this network (no observer answers): "
        "let outgoing UDP through its firewall"
    )
