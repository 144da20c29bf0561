import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.wire.entropy import jitter


def test_the_lowest_bytes_give_the_lower_bound() -> None:
    assert jitter(lambda count: bytes(count), 0.9, 1.1) == pytest.approx(0.9)


def test_the_highest_bytes_give_the_upper_bound() -> None:
    assert jitter(lambda count: b"\xff" * count, 0.9, 1.1) == pytest.approx(1.1)


@given(st.binary(min_size=4, max_size=4))
def test_every_number_lies_between_the_bounds(chance: bytes) -> None:
    assert 10.0 <= jitter(lambda _: chance, 10.0, 20.0) <= 20.0
