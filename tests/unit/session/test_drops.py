import pytest

from shadowmesh.session.drops import Dropped
from shadowmesh.session.events import DropReason


@pytest.mark.parametrize("reason", DropReason)
def test_a_refusal_carries_the_reason_that_is_counted(reason: DropReason) -> None:
    assert Dropped(reason).reason is reason
    assert str(Dropped(reason)) == reason.value
