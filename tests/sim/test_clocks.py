"""A wall clock that is wrong."""

from __future__ import annotations

import pytest
from tests.sim.world import World

from shadowmesh.mesh.state import LinkState

YEAR_S = 365 * 86400.0


@pytest.mark.parametrize("jump_s", [-20 * YEAR_S, 20 * YEAR_S])
def test_a_wall_clock_that_jumps_by_years_does_not_break_a_session(jump_s: float) -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    bob.wall_offset_s = jump_s
    world.run_for(2 * 86400)
    assert world.would_pass(alice, bob)
    assert bob.machine.link().state is LinkState.ONLINE


def test_a_node_that_booted_in_1970_connects_when_its_clock_is_set() -> None:
    world = World()
    alice, bob = world.pair()
    bob.wall_offset_s = -world.wall() + 100
    alice.start()
    bob.start()
    world.run_for(60)
    bob.wall_offset_s = 0.0
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=400)


def test_a_pair_that_knows_each_other_meets_although_one_clock_is_wrong() -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    world.run_for(10)
    bob.kill()
    bob.wall_offset_s = -world.wall() + 100
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=60)


@pytest.mark.parametrize("jump_s", [-20 * YEAR_S, 20 * YEAR_S])
@pytest.mark.parametrize("after_s", [0.0, 0.03, 0.05, 0.07])
@pytest.mark.parametrize("jumps", ["who begins", "who answers"])
def test_a_clock_that_jumps_in_the_middle_of_a_handshake_does_not_end_it(
    jump_s: float, after_s: float, jumps: str
) -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    world.run_for(10)
    bob.restart()
    world.run_for(after_s)
    (bob if jumps == "who begins" else alice).wall_offset_s = jump_s
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    world.run_for(3600)
    assert world.would_pass(alice, bob)


@pytest.mark.parametrize("wrong_s", [-20 * YEAR_S, 20 * YEAR_S])
def test_what_was_saved_while_the_clock_was_years_wrong_does_no_harm_when_it_is_right_again(wrong_s: float) -> None:
    """The number of bob's record stays as high as it was; alice holds the record of before."""
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    bob.wall_offset_s = wrong_s
    bob.restart()
    world.run_for(3600)
    assert world.would_pass(alice, bob)
    bob.wall_offset_s = 0.0
    bob.restart()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    alice.restart()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    assert bob.machine.link().state is LinkState.ONLINE
