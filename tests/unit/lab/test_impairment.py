import math

import pytest

from shadowmesh.lab.errors import CommandError, LabError
from shadowmesh.lab.impairment import Impairment, kernel_lacks_netem


def test_netem_is_told_what_was_asked_for() -> None:
    arguments = Impairment(delay_ms=40, loss_percent=1.5, rate_mbit=10).netem()
    assert " ".join(arguments) == "netem limit 116 delay 40000us loss 1.5000% rate 10000000bit"


def test_what_was_not_asked_for_is_not_said() -> None:
    assert Impairment().netem() == ["netem", "limit", "100000"]


def test_the_slowest_link_still_holds_a_few_frames() -> None:
    assert Impairment(rate_mbit=0.064).netem()[:3] == ["netem", "limit", "10"]


@pytest.mark.parametrize(
    ("delay_ms", "loss_percent", "rate_mbit"),
    [(-1, 0, None), (60_001, 0, None), (0, -0.1, None), (0, 100.1, None), (0, 0, 0), (math.nan, 0, None)],
)
def test_values_that_no_link_can_have_are_refused(
    delay_ms: float, loss_percent: float, rate_mbit: float | None
) -> None:
    with pytest.raises(LabError, match=r"want 0"):
        Impairment(delay_ms, loss_percent, rate_mbit)


def test_a_kernel_without_netem_is_told_from_a_wrong_argument() -> None:
    assert kernel_lacks_netem(CommandError(["tc"], 2, "", "Error: Specified qdisc kind is unknown.\n"))
    assert kernel_lacks_netem(CommandError(["tc"], 2, "", "Error: Specified qdisc not found.\n"))
    assert not kernel_lacks_netem(CommandError(["tc"], 1, "", 'Illegal "latency"\n'))
