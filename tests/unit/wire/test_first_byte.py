import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.wire.first_byte import ControlType, DatagramKind, classify

_VECTORS = json.loads(Path("docs/spec/vectors/first_byte.json").read_text())


@pytest.mark.parametrize("vector", _VECTORS, ids=lambda vector: vector["note"])
def test_the_vectors_that_the_engine_reads_too_hold(vector: dict[str, str]) -> None:
    assert classify(bytes.fromhex(vector["hex"])) is DatagramKind(vector["kind"])


@given(st.binary(max_size=64))
def test_any_bytes_have_a_kind(datagram: bytes) -> None:
    assert classify(datagram) in DatagramKind


@pytest.mark.parametrize("control", ControlType)
def test_every_control_type_is_classified_as_control(control: ControlType) -> None:
    assert classify(bytes([control])) is DatagramKind.CONTROL
