"""The virtual network between hosts: latency, loss, reordering, duplication, links that are cut, sites behind boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from tests.sim.chance import SeededEntropy
from tests.sim.nat.box import Packet
from tests.sim.site import Receiver, Route, Site, ascend, descend
from tests.sim.timeline import Timeline

from shadowmesh.wire.endpoint import Endpoint

GROUP = Endpoint.of("239.255.115.109", 41642)
_LAN_LATENCY_S = 0.0005


@dataclass(slots=True)
class Weather:
    """How the internet behaves from now on. A site's own network has none of it."""

    latency_s: float = 0.02
    jitter_s: float = 0.002
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0  # how many datagrams are held back, by up to `held_back_s`
    held_back_s: float = 0.2


class VirtualNetwork:
    """Every address of the internet reaches every other one, unless the pair is cut."""

    def __init__(self, timeline: Timeline, chance: SeededEntropy) -> None:
        self._timeline = timeline
        self._chance = chance
        self.internet = Site()
        self._cut: set[frozenset[str]] = set()
        self._deaf: set[tuple[str, str]] = set()
        self.weather = Weather()
        self.sent_bytes: Counter[str] = Counter()  # UDP payload, by the sender's own address
        self.sent_datagrams: Counter[str] = Counter()
        self.destinations: Counter[tuple[str, str]] = Counter()
        self.on_path: Callable[[bytes, Endpoint, Endpoint], bool] = lambda *_: True
        """An attacker who sees every datagram with its source and destination. False: it goes no further."""

    def attach(self, endpoint: Endpoint, receiver: Receiver) -> None:
        """To the internet."""
        self.internet.attach(endpoint, receiver)

    def cut(self, a: str, b: str) -> None:
        """Nothing passes between the two addresses of the internet: of a host behind a NAT, the outside one."""
        self._cut.add(frozenset({a, b}))

    def mend(self, a: str, b: str) -> None:
        self._cut.discard(frozenset({a, b}))

    def mend_all(self) -> None:
        self._cut.clear()
        self._deaf.clear()

    def deafen(self, source: str, destination: str) -> None:
        """Nothing passes from the one address to the other; the way back still works."""
        self._deaf.add((source, destination))

    def send(self, payload: bytes, source: Endpoint, destination: Endpoint, site: Site | None = None) -> None:
        """From a host of the site, or of the internet."""
        pair = _address(source), _address(destination)
        self.sent_bytes[pair[0]] += len(payload)
        self.sent_datagrams[pair[0]] += 1
        self.destinations[pair] += 1
        if not self.on_path(payload, source, destination):
            return
        route = ascend(site or self.internet, Packet(source, destination, payload), self._timeline.now)
        if route is None or self._is_lost(route):
            return
        copies = 2 if self._crosses_internet(route) and self._chance.fraction() < self.weather.duplication else 1
        for _ in range(copies):
            self._timeline.after(self._delay_s(route), lambda: self._arrive(route))

    def multicast(self, payload: bytes, source: Endpoint, site: Site) -> None:
        """To everybody on that network, the sender too."""
        if self.on_path(payload, source, GROUP):
            for receiver in site.group:
                self._timeline.after(_LAN_LATENCY_S, lambda receiver=receiver: receiver(payload, source))  # type: ignore[misc]

    def bytes_on_the_wire(self, headers_bytes: int) -> int:
        """All that was sent until now, with that many bytes of headers for each datagram."""
        return self.sent_bytes.total() + headers_bytes * self.sent_datagrams.total()

    def forge(self, payload: bytes, source: Endpoint, destination: Endpoint) -> None:
        """Arrives now, from whatever source the attacker writes."""
        self._arrive(Route(self.internet, Packet(source, destination, payload)))

    def _crosses_internet(self, route: Route) -> bool:
        return route.site is self.internet

    def _is_lost(self, route: Route) -> bool:
        if self._lost_on_links(route):
            return True
        if not self._crosses_internet(route):
            return False
        return self._is_cut(route.packet) or self._chance.fraction() < self.weather.loss

    def _is_cut(self, packet: Packet) -> bool:
        if not self._cut and not self._deaf:
            return False
        pair = _address(packet.source), _address(packet.destination)
        return frozenset(pair) in self._cut or pair in self._deaf

    def _lost_on_links(self, route: Route) -> bool:
        return any(link.loss and self._chance.fraction() < link.loss for link in route.links)

    def _delay_s(self, route: Route) -> float:
        if not self._crosses_internet(route):
            return _LAN_LATENCY_S + route.latency_s
        delay_s = self.weather.latency_s + self._chance.between(0.0, self.weather.jitter_s)
        if self._chance.fraction() < self.weather.reordering:
            delay_s += self._chance.between(0.0, self.weather.held_back_s)
        return delay_s + route.latency_s

    def _arrive(self, route: Route) -> None:
        """Where the way down begins. The boxes there judge the packet now, not when it was sent."""
        down = descend(route.site, route.packet, self._timeline.now)
        if down is None or self._lost_on_links(down):
            return
        if down.latency_s:
            self._timeline.after(down.latency_s, lambda: _hand_over(down))
        else:
            _hand_over(down)


@lru_cache(maxsize=4096)
def _address(endpoint: Endpoint) -> str:
    """In text, which is asked for at each packet."""
    return str(endpoint.address)


def _hand_over(route: Route) -> None:
    receiver = route.site.receiver(route.packet.destination)
    if receiver is not None:
        receiver(route.packet.payload, route.packet.source)
