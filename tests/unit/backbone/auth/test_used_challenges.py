"""A challenge is used once, and remembered for as long as it could be used again."""

import pytest
from tests.unit.backbone.world import SettableClock

from shadowmesh.backbone.auth.challenges import CHALLENGE_LIFETIME_S
from shadowmesh.backbone.auth.used_challenges import UsedChallenges
from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone_protocol.problems import Problem


def test_the_second_use_is_a_replay_until_the_last_second() -> None:
    clock = SettableClock()
    used = UsedChallenges(clock)
    expires = int(clock.now) + CHALLENGE_LIFETIME_S
    used.use(b"c", expires)
    clock.advance(CHALLENGE_LIFETIME_S - 0.1)
    used.use(b"d", expires + 80)
    with pytest.raises(Refused) as refused:
        used.use(b"c", expires)
    assert refused.value.problem is Problem.CHALLENGE_REPLAYED


def test_a_full_table_refuses_and_forgets_nothing() -> None:
    clock = SettableClock()
    used = UsedChallenges(clock, most=2)
    expires = int(clock.now) + CHALLENGE_LIFETIME_S
    used.use(b"a", expires)
    used.use(b"b", expires)
    with pytest.raises(Refused) as refused:
        used.use(b"c", expires)
    assert refused.value.problem is Problem.OVERLOADED
    with pytest.raises(Refused):
        used.check_unused(b"a", expires)
    clock.advance(3 * CHALLENGE_LIFETIME_S)
    used.use(b"c", int(clock.now) + CHALLENGE_LIFETIME_S)
