"""Lets one pair find each other, and says what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.sim.host import Host
from tests.sim.pairs.oracle import Expectation, expected
from tests.sim.pairs.scenario import Scenario
from tests.sim.world import World

from shadowmesh.lab.nat.theory import Method

SETTLED_S = 5.0  # a node that has been online so long knows its NAT
LIMIT_S = 90.0  # a few attempts, with the pauses between them
_REASON = "relay needed"


@dataclass(frozen=True, slots=True)
class Outcome:
    scenario: Scenario
    expectation: Expectation
    direct: bool
    took_s: float  # from the moment when both trust each other
    first_failure: str  # empty: the first attempt succeeded
    data_flows: bool

    @property
    def problem(self) -> str:
        """Empty: all is as the oracle says."""
        if self.expectation.is_direct:
            if not self.direct:
                return "must go direct, and does not" if not self.expectation.doubt else ""
            return "" if self.data_flows else "connected, but no data flows"
        if self.direct:
            return "" if self.expectation.doubt else "goes direct, and no method is known"
        return "" if _REASON in self.first_failure else f"no clear reason: {self.first_failure!r}"


def run(scenario: Scenario) -> Outcome:
    world, alice, bob = scenario.build()
    expectation = expected(alice, bob)
    if scenario.starts_cold:
        befriend(alice, bob)
    alice.start()
    bob.start()
    if not scenario.starts_cold:
        world.run_for(SETTLED_S)
        befriend(alice, bob)
    began_at = world.now
    alice.connect(bob)
    direct = _waits(world, alice, bob, expectation)
    took_s = world.now - began_at
    failures = alice.failures()
    flows = direct and world.data_flows(alice, bob)
    return Outcome(scenario, expectation, direct, took_s, failures[0] if failures else "", flows)


def _waits(world: World, alice: Host, bob: Host, expectation: Expectation) -> bool:
    """Whether they are connected. Of a pair that can not be, no longer than until the first attempt has failed."""

    def is_over() -> bool:
        return is_joined(alice, bob) or (expectation.method is Method.NEVER and bool(alice.failures()))

    try:
        world.run_until(is_over, LIMIT_S)
    except AssertionError:
        return False
    return is_joined(alice, bob)


def is_joined(alice: Host, bob: Host) -> bool:
    return alice.is_connected(bob) and bob.is_connected(alice)


def befriend(alice: Host, bob: Host) -> None:
    alice.trust(bob)
    bob.trust(alice)
