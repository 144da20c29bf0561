import pytest

from shadowmesh.paths.port_mapping.epoch import EpochClock


@pytest.mark.parametrize(
    ("epoch_s", "now", "kept"),
    [
        (1000, 100.0, True),  # the same moment
        (1060, 160.0, True),
        (4400, 3700.0, True),  # 3,400 s on the router, 3,600 s here: one part in sixteen apart
        (4700, 3700.0, True),
        (4200, 3700.0, False),  # too slow: it has restarted
        (5000, 3700.0, False),  # too fast: another router
        (999, 101.0, True),  # an answer that was overtaken
        (999, 104.0, False),
        (998, 100.0, False),
        (0, 1100.0, False),
    ],
)
def test_a_router_has_kept_its_mappings_when_both_clocks_went_on_alike(epoch_s: int, now: float, kept: bool) -> None:
    clock = EpochClock()
    assert clock.observe(1000, 100.0)
    assert clock.observe(epoch_s, now) is kept


def test_after_a_loss_it_counts_from_the_new_epoch() -> None:
    clock = EpochClock()
    clock.observe(5000, 0.0)
    assert not clock.observe(3, 100.0)
    assert clock.observe(13, 110.0)
