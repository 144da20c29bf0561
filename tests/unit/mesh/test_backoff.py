from tests.sim.chance import SeededEntropy

from shadowmesh.mesh.backoff import Backoff


def test_delays_grow_and_the_last_one_is_repeated() -> None:
    backoff = Backoff((1.0, 10.0, 100.0), SeededEntropy(1))
    delays = [backoff.next_delay_s() for _ in range(5)]
    for delay_s, least in zip(delays, (1.0, 10.0, 100.0, 100.0, 100.0), strict=True):
        assert least <= delay_s <= least * 1.25


def test_a_success_begins_the_series_again() -> None:
    backoff = Backoff((1.0, 10.0), SeededEntropy(1))
    backoff.next_delay_s()
    backoff.reset()
    assert backoff.next_delay_s() <= 1.25


def test_two_nodes_do_not_wait_equally_long() -> None:
    assert Backoff((1.0,), SeededEntropy(1)).next_delay_s() != Backoff((1.0,), SeededEntropy(2)).next_delay_s()
