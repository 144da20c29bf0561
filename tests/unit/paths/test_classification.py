from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sim.chance import SeededEntropy

from shadowmesh.paths.classification import (
    MAX_BLOCK_PORTS,
    MAX_STEP,
    MIN_SAMPLES,
    Observation,
    classify_mapping,
    estimate_block,
    steady_step,
)
from shadowmesh.paths.nat_behaviour import Mapping
from shadowmesh.wire.endpoint import Endpoint

# As asked: both ports of one server, then two other servers.
OBSERVERS = [
    Endpoint.of("198.19.0.1", 3478),
    Endpoint.of("198.19.0.1", 3479),
    Endpoint.of("198.19.0.2", 3478),
    Endpoint.of("198.19.0.3", 3478),
]
OWN = frozenset({IPv4Address("192.168.1.2")})
STEPS = st.integers(1, MAX_STEP)
SIGNS = st.sampled_from([-1, 1])


@pytest.mark.parametrize(
    ("ports", "mapping", "step"),
    [
        ([], Mapping.UNKNOWN, 0),
        ([5000], Mapping.UNKNOWN, 0),
        ([5000, 5000], Mapping.ENDPOINT_INDEPENDENT, 0),
        ([5000, 5000, 5000, 5000], Mapping.ENDPOINT_INDEPENDENT, 0),
        ([5000, 5000, 9000, 7000], Mapping.ADDRESS_DEPENDENT, 0),
        ([5000, 5000, 5001, 5002], Mapping.ADDRESS_DEPENDENT, 1),
        ([5000, 5000, 9000], Mapping.ADDRESS_DEPENDENT, 0),
        ([5000, 31000, 9000, 7000], Mapping.ADDRESS_AND_PORT_DEPENDENT, 0),
        ([5000, 31000], Mapping.ADDRESS_AND_PORT_DEPENDENT, 0),
        ([5000, 5001, 5002, 5003], Mapping.ADDRESS_AND_PORT_DEPENDENT, 1),
        ([5006, 5004, 5002, 5000], Mapping.ADDRESS_AND_PORT_DEPENDENT, -2),
        ([5000, 5001, 5003, 5004], Mapping.ADDRESS_AND_PORT_DEPENDENT, 1),
        ([5000, 5001], Mapping.ADDRESS_AND_PORT_DEPENDENT, 0),
    ],
)
def test_what_observers_see_names_the_mapping(ports: Sequence[int], mapping: Mapping, step: int) -> None:
    assert classify_mapping(seen(ports), OWN) == (mapping, step)


def test_who_is_seen_at_an_own_address_has_no_nat() -> None:
    assert classify_mapping(seen([5000, 5000], "192.168.1.2"), OWN) == (Mapping.NONE, 0)


def test_one_observer_that_answers_twice_says_no_more_than_once() -> None:
    assert classify_mapping(seen([5000]) * 2, OWN) == (Mapping.UNKNOWN, 0)


def test_without_two_ports_of_one_server_a_hard_mapping_counts_as_the_hardest() -> None:
    apart = [Observation(observer, outside(port)) for observer, port in zip(OBSERVERS[1:], (1, 2, 9), strict=True)]
    assert classify_mapping(apart, OWN)[0] is Mapping.ADDRESS_AND_PORT_DEPENDENT


def test_two_outside_addresses_are_two_mappings() -> None:
    pool = [Observation(OBSERVERS[0], outside(5000)), Observation(OBSERVERS[2], outside(5000, "203.0.113.6"))]
    assert classify_mapping(pool, OWN)[0] is Mapping.ADDRESS_AND_PORT_DEPENDENT


@given(
    st.integers(20000, 40000),
    STEPS,
    SIGNS,
    st.lists(st.integers(0, 1), min_size=2, max_size=8).filter(lambda x: 0 in x),
)
def test_a_router_that_counts_is_seen_even_when_others_take_ports_between(
    first: int, step: int, sign: int, taken: list[int]
) -> None:
    ports, distances = [first], [sign * step * (1 + others) for others in taken]
    for distance in distances:
        ports.append(ports[-1] + distance)
    within = all(abs(distance) <= MAX_STEP for distance in distances)
    assert steady_step(ports) == (sign * step if within else 0)


@given(st.lists(st.integers(1024, 65535), max_size=9))
def test_a_step_divides_all_distances_which_have_one_sign(ports: list[int]) -> None:
    step = steady_step(ports)
    distances = [after - before for before, after in pairwise(ports)]
    assert abs(step) <= MAX_STEP
    assert step == 0 or all(distance % step == 0 and distance * step >= 0 for distance in distances)


@pytest.mark.parametrize(
    "ports", [[], [5000], [5000, 5001], [5000, 5000, 5001], [65535, 1024, 1025], [5000, 5017, 5034]]
)
def test_too_few_too_far_or_a_turn_is_no_step(ports: list[int]) -> None:
    assert steady_step(ports) == 0


def test_fewer_than_eight_ports_say_nothing_of_a_block() -> None:
    assert estimate_block(range(5000, 5000 + MIN_SAMPLES - 1)) is None
    assert estimate_block([5000] * 20) is None


@given(st.integers(2, 4096), st.integers(0, 2**64), st.integers(MIN_SAMPLES, 12))
def test_an_estimate_holds_all_samples_and_stays_within_its_bounds(size: int, seed: int, count: int) -> None:
    entropy = SeededEntropy(seed)
    first = 1024 + entropy.below(64512 - size)
    ports = {first + entropy.below(size) for _ in range(count)}
    block = estimate_block(ports)
    if block is not None:
        assert all(port in block for port in ports)
        assert len(block) <= MAX_BLOCK_PORTS
        assert 1024 <= block.first <= block.last <= 65535


@pytest.mark.parametrize("size", [64, 512, 2048])
def test_of_blocks_that_carriers_hand_out_nearly_all_ports_lie_in_the_estimate(size: int) -> None:
    entropy = SeededEntropy("blocks", size)
    covered, trials = 0.0, 200
    for _ in range(trials):
        first = 1024 + entropy.below(64512 - size)
        block = estimate_block([first + entropy.below(size) for _ in range(MIN_SAMPLES + 4)])
        if block is not None:
            covered += len(range(max(block.first, first), min(block.last, first + size - 1) + 1)) / size
    assert covered / trials > 0.95


def test_ports_from_all_over_the_range_are_hardly_ever_taken_for_a_block() -> None:
    entropy = SeededEntropy("all over")
    draws = [[1024 + entropy.below(64512) for _ in range(MIN_SAMPLES)] for _ in range(2000)]
    assert sum(estimate_block(ports) is not None for ports in draws) <= 2


def seen(ports: Sequence[int], address: str = "203.0.113.5") -> list[Observation]:
    return [Observation(observer, outside(port, address)) for observer, port in zip(OBSERVERS, ports, strict=False)]


def outside(port: int, address: str = "203.0.113.5") -> Endpoint:
    return Endpoint.of(address, port)
