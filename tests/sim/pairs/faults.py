"""What goes wrong while a pair finds each other, and after it has: and how long it takes to be direct again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.sim.chance import SeededEntropy
from tests.sim.host import Host
from tests.sim.pairs.oracle import expected
from tests.sim.pairs.scenario import Scenario
from tests.sim.pairs.trial import befriend, is_joined
from tests.sim.world import World

DIRECT_WITHIN_S = 300.0  # with calls lost and probes too
RECOVERED_WITHIN_S = 300.0
SETTLED_S = 40.0  # the session is old enough to be believed, and the probes go on
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Recovery:
    scenario: Scenario
    trouble: str
    direct_after_s: float | None  # None: not within the limit
    recovered_after_s: float | None

    @property
    def problem(self) -> str:
        if self.direct_after_s is None:
            return "not direct in bad weather"
        return "" if self.recovered_after_s is not None else f"not direct again after: {self.trouble}"


def run(scenario: Scenario) -> Recovery | None:
    """None: this pair can not be direct, or only by luck."""
    world, alice, bob = scenario.build()
    expectation = expected(alice, bob)
    if not expectation.is_direct or expectation.doubt:
        return None
    chance = SeededEntropy(scenario.seed, "faults")
    _worsen(world, chance)
    befriend(alice, bob)
    alice.start()
    bob.start()
    alice.connect(bob)
    trouble = chance.choice(tuple(_TROUBLES))
    direct_after_s = _wait(world, alice, bob)
    if direct_after_s is None:
        return Recovery(scenario, trouble, None, None)
    world.run_for(SETTLED_S)
    _TROUBLES[trouble](alice, bob)
    began_at = world.now
    flows = world.data_flows(alice, bob, RECOVERED_WITHIN_S)
    return Recovery(scenario, trouble, direct_after_s, world.now - began_at if flows else None)


def _worsen(world: World, chance: SeededEntropy) -> None:
    weather = world.network.weather
    weather.loss = chance.between(0.01, 0.05)
    weather.reordering = chance.between(0.0, 0.1)
    weather.duplication = chance.between(0.0, 0.05)
    for backbone in world.backbones:
        backbone.update_loss = chance.between(0.01, 0.1)


def _wait(world: World, alice: Host, bob: Host) -> float | None:
    began_at = world.now
    try:
        world.run_until(lambda: is_joined(alice, bob), DIRECT_WITHIN_S)
    except AssertionError:
        return None
    return world.now - began_at


def _clocks_jump(alice: Host, bob: Host) -> None:
    alice.wall_offset_s += _DAY_S / 2
    bob.wall_offset_s -= _DAY_S / 2


def _both_forget(alice: Host, bob: Host) -> None:
    alice.site.rebind()
    bob.site.rebind()


_TROUBLES: dict[str, Callable[[Host, Host], None]] = {
    "a NAT forgets all mappings": lambda alice, _bob: alice.site.rebind(),
    "both NATs forget all mappings": _both_forget,
    "a node restarts": lambda _alice, bob: bob.restart(),
    "the clocks jump by half a day": _clocks_jump,
    "a connection to the backbone breaks": lambda alice, _bob: alice.break_signalling(),
}
