"""How a NAT chooses the outside port of a new mapping (RFC 4787 §4.2): candidates, of which the first free is taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from tests.sim.chance import SeededEntropy

from shadowmesh.wire.endpoint import Endpoint

LOW, HIGH = 1024, 65535
_DRAWS = 16  # before all are tried in turn: fifteen of sixteen ports taken, and still two of three are found by chance


class PortSource(Protocol):
    """Of one outside address."""

    def candidates(self, inside: Endpoint) -> Iterator[int]:
        """Outside ports for this inside endpoint, the preferred first; none when its share is used up."""
        ...


class Ports(Protocol):
    """A rule for the choice of ports: a value, without state."""

    def source(self, chance: SeededEntropy) -> PortSource: ...


@dataclass(frozen=True, slots=True)
class Uniform:
    """Any port of the range with equal chance."""

    low: int = LOW
    high: int = HIGH

    def source(self, chance: SeededEntropy) -> PortSource:
        return _UniformSource(self, chance)


@dataclass(frozen=True, slots=True)
class Preserving:
    """The inside port where it is free, else any of the range."""

    low: int = LOW
    high: int = HIGH

    def source(self, chance: SeededEntropy) -> PortSource:
        return _PreservingSource(self, chance)


PRESERVING = Preserving()


@dataclass(frozen=True, slots=True)
class Sequential:
    """The last one plus `step`; it begins anywhere, and at the range's other end goes on."""

    step: int = 1
    low: int = LOW
    high: int = HIGH

    def source(self, chance: SeededEntropy) -> PortSource:
        return _SequentialSource(self, chance)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Each inside address gets one contiguous block, from which its ports are drawn with equal chance (RFC 7422)."""

    size: int = 512
    low: int = LOW
    high: int = HIGH

    def source(self, chance: SeededEntropy) -> PortSource:
        return _BlockSource(self, chance)


class _UniformSource:
    def __init__(self, rule: Uniform, chance: SeededEntropy) -> None:
        self._ports = range(rule.low, rule.high + 1)
        self._chance = chance

    def candidates(self, inside: Endpoint) -> Iterator[int]:
        return _drawn(self._ports, self._chance)


class _PreservingSource:
    def __init__(self, rule: Preserving, chance: SeededEntropy) -> None:
        self._ports = range(rule.low, rule.high + 1)
        self._chance = chance

    def candidates(self, inside: Endpoint) -> Iterator[int]:
        if inside.port in self._ports:
            yield inside.port
        yield from _drawn(self._ports, self._chance)


class _SequentialSource:
    def __init__(self, rule: Sequential, chance: SeededEntropy) -> None:
        self._rule = rule
        self._count = rule.high - rule.low + 1
        self._offset = chance.below(self._count)

    def candidates(self, inside: Endpoint) -> Iterator[int]:
        for _ in range(self._count):
            self._offset = (self._offset + self._rule.step) % self._count
            yield self._rule.low + self._offset


class _BlockSource:
    def __init__(self, rule: Blocks, chance: SeededEntropy) -> None:
        self._size = rule.size
        self._chance = chance
        self._free = list(range(rule.low, rule.high + 2 - rule.size, rule.size))
        self._blocks: dict[object, int] = {}

    def candidates(self, inside: Endpoint) -> Iterator[int]:
        start = self._blocks.get(inside.address)
        if start is None:
            if not self._free:
                return
            start = self._free.pop(self._chance.below(len(self._free)))
            self._blocks[inside.address] = start
        yield from _drawn(range(start, start + self._size), self._chance)


def _drawn(ports: range, chance: SeededEntropy) -> Iterator[int]:
    for _ in range(_DRAWS):
        yield ports[chance.below(len(ports))]
    start = chance.below(len(ports))
    yield from ports[start:]
    yield from ports[:start]
