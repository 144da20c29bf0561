import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sim.chance import SeededEntropy

from shadowmesh.paths.port_mapping.schedule import MIN_INTERVAL_S, Tries, renewal_at


@given(st.integers(), st.integers(30, 86_400))
def test_renewals_come_where_rfc_6887_wants_them(seed: int, lifetime_s: int) -> None:
    entropy = SeededEntropy(seed)
    first, second = (renewal_at(100.0, lifetime_s, unanswered, entropy) for unanswered in (0, 1))
    assert first is not None
    assert second is not None
    assert 1 / 2 <= (first - 100.0) / lifetime_s <= 5 / 8
    assert 3 / 4 <= (second - 100.0) / lifetime_s <= 13 / 16


def test_the_last_renewal_is_four_seconds_before_the_end() -> None:
    moments = [renewal_at(0.0, 3600, unanswered, SeededEntropy(0)) for unanswered in range(12)]
    real = [moment for moment in moments if moment is not None]
    assert real == sorted(real)
    assert len(real) == 9  # 3600 s halve nine times until less than 4 s are left
    assert moments[len(real) :] == [None] * 3
    assert 3600 - real[-1] >= MIN_INTERVAL_S * 3 / 4


def test_tries_go_out_one_after_another_and_end() -> None:
    tries = Tries((0.0, 1.0), 3.0, 10.0)
    assert (tries.due_at, tries.is_used_up) == (10.0, False)
    tries.count(10.0)
    assert (tries.due_at, tries.is_used_up) == (11.0, False)
    tries.count(11.0)
    assert (tries.due_at, tries.is_used_up) == (13.0, True)


def test_a_late_try_delays_the_rest() -> None:
    tries = Tries((0.0, 1.0), 3.0, 10.0)
    tries.count(10.0)
    tries.count(100.0)
    assert tries.due_at == pytest.approx(102.0)
