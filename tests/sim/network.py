"""The virtual network between hosts: latency, loss, reordering, duplication, and links that are cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.sim.chance import SeededEntropy
from tests.sim.timeline import Timeline

from shadowmesh.wire.endpoint import Endpoint

Receiver = Callable[[bytes, Endpoint], None]


@dataclass(slots=True)
class Weather:
    """How the network behaves from now on."""

    latency_s: float = 0.02
    jitter_s: float = 0.002
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0  # how many datagrams are held back, by up to `held_back_s`
    held_back_s: float = 0.2


class VirtualNetwork:
    """Every address reaches every other one, unless the pair is cut."""

    def __init__(self, timeline: Timeline, chance: SeededEntropy) -> None:
        self._timeline = timeline
        self._chance = chance
        self._receivers: dict[Endpoint, Receiver] = {}
        self._cut: set[frozenset[str]] = set()
        self._deaf: set[tuple[str, str]] = set()
        self.weather = Weather()
        self.sent_bytes: Counter[str] = Counter()  # UDP payload, by the sender's address
        self.sent_datagrams: Counter[str] = Counter()
        self.destinations: Counter[tuple[str, str]] = Counter()
        self.on_path: Callable[[bytes, Endpoint, Endpoint], bool] = lambda *_: True
        """An attacker who sees every datagram with its source and destination. False: it goes no further."""

    def attach(self, endpoint: Endpoint, receiver: Receiver) -> None:
        self._receivers[endpoint] = receiver

    def detach(self, endpoint: Endpoint) -> None:
        self._receivers.pop(endpoint, None)

    def cut(self, a: str, b: str) -> None:
        """Nothing passes between the two addresses."""
        self._cut.add(frozenset({a, b}))

    def mend(self, a: str, b: str) -> None:
        self._cut.discard(frozenset({a, b}))

    def mend_all(self) -> None:
        self._cut.clear()
        self._deaf.clear()

    def deafen(self, source: str, destination: str) -> None:
        """Nothing passes from the one address to the other; the way back still works."""
        self._deaf.add((source, destination))

    def send(self, payload: bytes, source: Endpoint, destination: Endpoint) -> None:
        pair = str(source.address), str(destination.address)
        self.sent_bytes[pair[0]] += len(payload)
        self.sent_datagrams[pair[0]] += 1
        self.destinations[pair] += 1
        if not self.on_path(payload, source, destination):
            return
        if frozenset(pair) in self._cut or pair in self._deaf or self._chance.fraction() < self.weather.loss:
            return
        copies = 2 if self._chance.fraction() < self.weather.duplication else 1
        for _ in range(copies):
            self._timeline.after(self._delay_s(), lambda: self._deliver(payload, source, destination))

    def bytes_on_the_wire(self, headers_bytes: int) -> int:
        """All that was sent until now, with that many bytes of headers for each datagram."""
        return self.sent_bytes.total() + headers_bytes * self.sent_datagrams.total()

    def forge(self, payload: bytes, source: Endpoint, destination: Endpoint) -> None:
        """Arrives now, from whatever source the attacker writes."""
        self._deliver(payload, source, destination)

    def _delay_s(self) -> float:
        delay_s = self.weather.latency_s + self._chance.between(0.0, self.weather.jitter_s)
        if self._chance.fraction() < self.weather.reordering:
            delay_s += self._chance.between(0.0, self.weather.held_back_s)
        return delay_s

    def _deliver(self, payload: bytes, source: Endpoint, destination: Endpoint) -> None:
        receiver = self._receivers.get(destination)
        if receiver is not None:
            receiver(payload, source)
