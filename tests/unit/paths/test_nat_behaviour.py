from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.paths.nat_behaviour import (
    ALL_PORTS,
    NAT_BEHAVIOUR_BYTES,
    UNKNOWN_NAT,
    Filtering,
    Mapping,
    NatBehaviour,
    PortRange,
)
from shadowmesh.wire.errors import DecodeError

VECTORS = json.loads(Path("docs/spec/vectors/punching.json").read_text())
HARD = (Mapping.ADDRESS_DEPENDENT, Mapping.ADDRESS_AND_PORT_DEPENDENT)
PORTS = st.integers(1, 65535)
RANGES = st.tuples(PORTS, PORTS).map(sorted).map(lambda ends: PortRange(*ends))
behaviours = st.builds(
    NatBehaviour,
    st.sampled_from(Mapping),
    st.sampled_from(Filtering),
    st.integers(-(2**15), 2**15 - 1),
    st.none() | RANGES,
)


@given(behaviours)
def test_what_was_encoded_is_decoded(behaviour: NatBehaviour) -> None:
    data = behaviour.encode()
    assert len(data) == NAT_BEHAVIOUR_BYTES == 8
    assert NatBehaviour.decode(data) == behaviour


@given(st.binary(min_size=8, max_size=8))
def test_random_bytes_are_refused_or_have_a_meaning_that_stays(data: bytes) -> None:
    try:
        behaviour = NatBehaviour.decode(data)
    except DecodeError:
        return
    assert NatBehaviour.decode(behaviour.encode()) == behaviour


@given(behaviours, st.integers(0, 20).filter(lambda length: length != 8))
def test_another_length_is_refused(behaviour: NatBehaviour, length: int) -> None:
    with pytest.raises(DecodeError):
        NatBehaviour.decode((behaviour.encode() + bytes(12))[:length])


def test_kinds_that_are_not_known_yet_are_unknown() -> None:
    assert NatBehaviour.decode(bytes([9, 9, 0, 0, 0, 0, 0, 0])) == UNKNOWN_NAT


@pytest.mark.parametrize("ports", [(0, 1), (1, 0), (2, 1)])
def test_what_is_no_range_is_refused(ports: tuple[int, int]) -> None:
    first, last = ports
    data = bytes(4) + first.to_bytes(2, "big") + last.to_bytes(2, "big")
    with pytest.raises(DecodeError):
        NatBehaviour.decode(data)
    with pytest.raises(ValueError, match="no range of ports"):
        PortRange(first, last)


def test_both_ends_belong_to_a_range() -> None:
    ports = PortRange(5000, 5011)
    assert len(ports) == 12
    assert 5000 in ports
    assert 5011 in ports
    assert 5012 not in ports
    assert 4999 not in ports


@pytest.mark.parametrize("mapping", Mapping)
def test_hard_is_a_mapping_that_depends_on_the_destination(mapping: Mapping) -> None:
    assert NatBehaviour(mapping).is_hard is (mapping in HARD)
    assert NatBehaviour(mapping, step=-2).is_predictable is (mapping in HARD)
    assert not NatBehaviour(mapping).is_predictable


@pytest.mark.parametrize("vector", VECTORS["nat_behaviours"], ids=lambda vector: vector["name"])
def test_good_vectors(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["nat"])
    block = None if vector["block"] is None else PortRange(*vector["block"])
    behaviour = NatBehaviour(Mapping(vector["mapping"]), Filtering(vector["filtering"]), vector["step"], block)
    assert NatBehaviour.decode(data) == behaviour
    assert behaviour.encode() == data


@pytest.mark.parametrize("vector", VECTORS["nat_behaviours_refused"], ids=lambda vector: vector["name"])
def test_refused_vectors(vector: dict[str, str]) -> None:
    with pytest.raises(DecodeError):
        NatBehaviour.decode(bytes.fromhex(vector["nat"]))


@pytest.mark.parametrize("data", VECTORS["nat_behaviours_unknown"])
def test_vectors_of_kinds_that_are_not_known_yet(data: str) -> None:
    behaviour = NatBehaviour.decode(bytes.fromhex(data))
    assert Mapping.UNKNOWN in (behaviour.mapping, behaviour.filtering)


def test_without_a_block_mappings_are_anywhere() -> None:
    assert NatBehaviour(HARD[0]).ports == ALL_PORTS
    assert NatBehaviour(HARD[0], block=PortRange(5000, 5011)).ports == PortRange(5000, 5011)
