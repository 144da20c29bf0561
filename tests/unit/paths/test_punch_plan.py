from __future__ import annotations

import json
from itertools import product
from math import comb
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sim.chance import SeededEntropy

from shadowmesh.paths.nat_behaviour import ALL_PORTS, UNKNOWN_NAT, Filtering, Mapping, NatBehaviour, PortRange
from shadowmesh.paths.punch_plan import (
    BLOCK_SOCKETS,
    MAX_SOCKETS,
    MAX_SPRAY_PROBES,
    PREDICTED_PORTS,
    Role,
    choose_role,
    predicted,
    random_ports,
    sockets_to_hold,
)
from shadowmesh.wire.endpoint import Endpoint

VECTORS = json.loads(Path("docs/spec/vectors/punching.json").read_text())
BEHAVIOURS = [
    NatBehaviour(mapping, filtering, step) for mapping, filtering, step in product(Mapping, Filtering, (-1, 0, 1))
]
COUNTERPART = {
    Role.PLAIN: Role.PLAIN,
    Role.PREDICT: Role.AWAIT_PREDICTION,
    Role.AWAIT_PREDICTION: Role.PREDICT,
    Role.SPRAY: Role.HOLD_PORTS,
    Role.HOLD_PORTS: Role.SPRAY,
    Role.NONE: Role.NONE,
}
EASY, HARD = NatBehaviour(Mapping.ENDPOINT_INDEPENDENT), NatBehaviour(Mapping.ADDRESS_AND_PORT_DEPENDENT)
COUNTING = NatBehaviour(Mapping.ADDRESS_DEPENDENT, step=2)
RANGES = st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(sorted).map(lambda ends: PortRange(*ends))


@pytest.mark.parametrize(
    ("own", "peer", "role"),
    [
        (EASY, EASY, Role.PLAIN),
        (EASY, COUNTING, Role.PREDICT),
        (EASY, HARD, Role.SPRAY),
        (COUNTING, EASY, Role.AWAIT_PREDICTION),
        (COUNTING, COUNTING, Role.PREDICT),
        (COUNTING, HARD, Role.NONE),
        (HARD, EASY, Role.HOLD_PORTS),
        (HARD, COUNTING, Role.NONE),
        (HARD, HARD, Role.NONE),
        (UNKNOWN_NAT, HARD, Role.PLAIN),
        (COUNTING, UNKNOWN_NAT, Role.PLAIN),
    ],
)
def test_the_table_of_roles(own: NatBehaviour, peer: NatBehaviour, role: Role) -> None:
    assert choose_role(own, peer) is role


@pytest.mark.parametrize("own", BEHAVIOURS)
def test_both_sides_always_come_to_matching_roles(own: NatBehaviour) -> None:
    for peer in BEHAVIOURS:
        ours, theirs = choose_role(own, peer), choose_role(peer, own)
        both_count = own.is_predictable and peer.is_predictable
        assert theirs is (Role.PREDICT if both_count else COUNTERPART[ours])


@pytest.mark.parametrize("vector", VECTORS["roles"], ids=lambda vector: f"{vector['own']}-{vector['peer']}")
def test_the_vectors_of_roles(vector: dict[str, str]) -> None:
    nats = {each["name"]: NatBehaviour.decode(bytes.fromhex(each["nat"])) for each in VECTORS["nat_behaviours"]}
    assert choose_role(nats[vector["own"]], nats[vector["peer"]]) is Role[vector["role"]]


@pytest.mark.parametrize("vector", VECTORS["nat_behaviours"], ids=lambda vector: vector["name"])
def test_the_vectors_of_sockets(vector: dict[str, Any]) -> None:
    assert sockets_to_hold(Role.HOLD_PORTS, NatBehaviour.decode(bytes.fromhex(vector["nat"]))) == vector["sockets"]


@given(st.none() | RANGES)
def test_sockets_are_a_small_share_of_a_block_and_never_too_many(block: PortRange | None) -> None:
    count = sockets_to_hold(Role.HOLD_PORTS, NatBehaviour(HARD.mapping, block=block))
    if block is None:
        assert count == MAX_SOCKETS == 256
    else:
        assert 1 <= count <= BLOCK_SOCKETS
        assert count == 1 or count <= len(block) / 10


@pytest.mark.parametrize(
    ("ports", "sockets", "at_least"), [(len(ALL_PORTS), MAX_SOCKETS, 0.983), (8192, BLOCK_SOCKETS, 0.999)]
)
def test_sockets_and_probes_meet_as_often_as_their_numbers_promise(ports: int, sockets: int, at_least: float) -> None:
    missed = comb(ports - sockets, MAX_SPRAY_PROBES) / comb(ports, MAX_SPRAY_PROBES)
    assert 1 - missed > at_least


@given(st.integers(1, 65535), st.integers(-(2**15), 2**15 - 1).filter(bool))
def test_predicted_ports_come_in_order_and_exist(last: int, step: int) -> None:
    ports = [endpoint.port for endpoint in predicted(Endpoint.of("203.0.113.2", last), step)]
    assert ports == [port for port in range(last + step, last + 17 * step, step) if 0 < port < 65536]
    assert len(ports) <= PREDICTED_PORTS == 16


@given(RANGES, st.integers(0, 2000), st.integers(0, 2**32))
def test_random_ports_are_distinct_in_range_and_as_many_as_there_are(ports: PortRange, count: int, seed: int) -> None:
    drawn = list(random_ports(ports, count, SeededEntropy(seed)))
    assert len(drawn) == len(set(drawn)) == min(count, len(ports))
    assert all(port in ports for port in drawn)


def test_each_port_comes_about_as_often_at_each_place() -> None:
    """Chi-squared over 10 places of 10 ports, 81 degrees of freedom: above 140 by chance once in 20,000."""
    entropy, rounds = SeededEntropy("uniform"), 2000
    counts = dict.fromkeys(product(range(10), range(10)), 0)
    for _ in range(rounds):
        for place, port in enumerate(random_ports(PortRange(1, 10), 10, entropy)):
            counts[place, port - 1] += 1
    expected = rounds / 10
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 140
