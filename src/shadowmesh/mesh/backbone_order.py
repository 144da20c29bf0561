"""Which backbone node is asked, and which next."""

from __future__ import annotations

from collections.abc import Sequence

from shadowmesh.identity.names import Fingerprint
from shadowmesh.mesh.state import BackbonePin
from shadowmesh.records.directory import BackboneNode
from shadowmesh.wire.entropy import Entropy


class BackboneOrder:
    """Pins in the owner's order, then nodes of the directory: those of our region, then the others.

    Nodes that are equal by this rule are shuffled, so that the clients of a dead node spread over the rest.
    """

    def __init__(self, pins: Sequence[BackbonePin], region: int, entropy: Entropy) -> None:
        self._pins: dict[Fingerprint, BackbonePin] = {}
        for pin in pins:
            self._pins.setdefault(pin.fingerprint, pin)
        self._region = region
        self._entropy = entropy
        self._not_before: dict[Fingerprint, float] = {}
        self._order: list[BackbonePin] = list(self._pins.values())
        self._next = 0
        self.current: BackbonePin | None = None

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, fingerprint: Fingerprint) -> bool:
        return any(node.fingerprint == fingerprint for node in self._order)

    def set_directory(self, nodes: Sequence[BackboneNode]) -> None:
        unpinned = [node for node in nodes if node.fingerprint not in self._pins]
        draws = {node.fingerprint: self._entropy(8) for node in unpinned}
        unpinned.sort(key=lambda node: (node.region != self._region, draws[node.fingerprint]))
        self._order = [*self._pins.values(), *(BackbonePin(node.url, node.fingerprint) for node in unpinned)]
        known = {node.fingerprint for node in self._order}
        self._not_before = {key: at for key, at in self._not_before.items() if key in known}
        current = None if self.current is None else self.current.fingerprint
        self._next = next((index + 1 for index, node in enumerate(self._order) if node.fingerprint == current), 0)

    def postpone(self, fingerprint: Fingerprint, until: float) -> None:
        """The node asked not to be asked before."""
        self._not_before[fingerprint] = until

    def take_next(self, now: float) -> BackbonePin | None:
        """The next one in turn that may be asked now. It becomes `current`."""
        for offset in range(len(self._order)):
            index = (self._next + offset) % len(self._order)
            node = self._order[index]
            if self._not_before.get(node.fingerprint, now) <= now:
                self._next = index + 1
                self.current = node
                return node
        return None

    def available_at(self, now: float) -> float | None:
        """When the first node may be asked; None when there is none at all."""
        return min((self._not_before.get(node.fingerprint, now) for node in self._order), default=None)
