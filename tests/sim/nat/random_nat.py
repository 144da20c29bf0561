"""Any box that the model knows, by chance: for tests that must hold behind every one."""

from __future__ import annotations

from dataclasses import replace

from tests.sim.chance import SeededEntropy
from tests.sim.nat.behaviour import (
    FIREWALL,
    LINUX,
    LINUX_OPEN_INPUT,
    UDP_BLOCKED,
    Dependence,
    Nat,
    Pooling,
)
from tests.sim.nat.ports import Blocks, Ports, Preserving, Sequential, Uniform

_TIMEOUTS_S = (30.0, 120.0, 300.0)  # what is often seen, RFC 4787's least, its recommendation
_PORTS: tuple[Ports, ...] = (
    Preserving(),
    Uniform(),
    Sequential(1),
    Sequential(2),
    Blocks(64),
    Blocks(512),
    Blocks(2048),
)
_POOLS = (1, 1, 1, 4)


def random_nat(chance: SeededEntropy) -> Nat:
    """One in sixteen blocks UDP, three are a firewall or Linux, the others any mix of mapping, filtering and ports."""
    special = (UDP_BLOCKED, FIREWALL, LINUX, LINUX_OPEN_INPUT)
    number = chance.below(16)
    nat = special[number] if number < len(special) else _translating(chance)
    return replace(nat, timeout_s=chance.choice(_TIMEOUTS_S), refreshed_by_inbound=chance.below(2) == 0)


def _translating(chance: SeededEntropy) -> Nat:
    return Nat(
        mapping=chance.choice(tuple(Dependence)),
        filtering=chance.choice(tuple(Dependence)),
        ports=chance.choice(_PORTS),
        hairpin=chance.below(2) == 0,
        outside_addresses=chance.choice(_POOLS),
        pooling=chance.choice(tuple(Pooling)),
    )
