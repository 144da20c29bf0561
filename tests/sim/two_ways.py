"""Two probers with several ways between them, each with its own round trip, and packets of the tunnel if wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.sim.chance import SeededEntropy
from tests.sim.timeline import START, Timeline

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.events import PathMoved, ProbeEvent
from shadowmesh.paths.probes import PathProber
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

PACKETS_INTERVAL_S = 0.05
TOLD_INTERVAL_S = 0.2  # between two words of a packet engine that packets come from elsewhere
_KEY = bytes(range(32))
_PORT = 41641


@dataclass(slots=True)
class Side:
    """`network` is what its addresses begin with: way 3 ends at host number 3 of it."""

    name: PeerID
    network: str
    prober: PathProber
    events: list[tuple[float, ProbeEvent]] = field(default_factory=list)
    told_at: float = 0.0

    def at(self, way: int) -> Endpoint:
        return Endpoint.of(f"{self.network}.{way}", _PORT)

    @property
    def moves(self) -> list[tuple[float, Endpoint]]:
        return [(at, event.path) for at, event in self.events if isinstance(event, PathMoved)]


class TwoWays:
    """A session on the first way; the others are alternates on both sides. Way n leads from address n to address n."""

    def __init__(self, round_trips_s: Mapping[int, float], *, seed: int = 1) -> None:
        self.timeline = Timeline()
        self.round_trips_s = dict(round_trips_s)
        self.a, self.b = (self._side(letter, network, seed) for letter, network in (("a", "10.1.0"), ("b", "10.2.0")))
        first, *others = self.round_trips_s
        for side, other, delay_s in ((self.a, self.b, 0.0), (self.b, self.a, 0.3)):
            side.prober.start(other.name, _KEY, other.at(first), START, delay_s=delay_s)
            side.prober.set_alternates(other.name, [other.at(way) for way in others], START)
        self._drain()

    @property
    def elapsed_s(self) -> float:
        return self.timeline.now - START

    def run_for(self, duration_s: float) -> None:
        end = self.timeline.now + duration_s
        while (at := self._next_at()) <= end:
            self.timeline.now = max(self.timeline.now, at)
            self.timeline.run_due()
            for side in (self.a, self.b):
                side.prober.handle_timeout(self.timeline.now)
            self._drain()
        self.timeline.now = end

    def send_packets(self, sender: Side) -> None:
        """From now on, steadily, on the sender's path of each moment."""
        receiver = self._other(sender)
        way = self.way_of(sender)
        sender.prober.passed(receiver.name, self.timeline.now)
        self._after_way(way, lambda: self._packet_comes(receiver, sender.at(way)))
        self.timeline.after(PACKETS_INTERVAL_S, lambda: self.send_packets(sender))

    def cut(self, way: int) -> None:
        del self.round_trips_s[way]

    def is_measured(self, side: Side, way: int) -> bool:
        """Whether an alternate has answered."""
        other = self._other(side)
        return any(each.path == other.at(way) and each.rtt_s for each in side.prober.alternates(other.name))

    def way_of(self, side: Side) -> int:
        status = side.prober.status(self._other(side).name)
        assert status is not None
        return _way(status.path)

    def _packet_comes(self, receiver: Side, source: Endpoint) -> None:
        sender, now = self._other(receiver), self.timeline.now
        receiver.prober.passed(sender.name, now)
        if _way(source) != self.way_of(receiver) and now >= receiver.told_at + TOLD_INTERVAL_S:
            receiver.told_at = now
            receiver.prober.seen_at(sender.name, source, now)

    def _drain(self) -> None:
        for side in (self.a, self.b):
            while (output := side.prober.poll()) is not None:
                if isinstance(output, Transmit):
                    self._send(side, output)
                else:
                    side.events.append((round(self.elapsed_s, 3), output))

    def _send(self, sender: Side, probe: Transmit) -> None:
        way, receiver = _way(probe.destination), self._other(sender)
        source = sender.at(way)
        self._after_way(way, lambda: receiver.prober.receive_datagram(probe.payload, source, self.timeline.now))

    def _after_way(self, way: int, arrive: Callable[[], None]) -> None:
        if way in self.round_trips_s:
            self.timeline.after(self.round_trips_s[way] / 2, arrive)

    def _other(self, side: Side) -> Side:
        return self.b if side is self.a else self.a

    def _next_at(self) -> float:
        due = [self.timeline.next_at(), self.a.prober.next_timeout(), self.b.prober.next_timeout()]
        return min((at for at in due if at is not None), default=float("inf"))

    @staticmethod
    def _side(letter: str, network: str, seed: int) -> Side:
        name = PeerID(letter.encode() * 20)
        return Side(name, network, PathProber(name, entropy=SeededEntropy(letter, seed), ids=OpenIds()))


def _way(endpoint: Endpoint) -> int:
    return int(str(endpoint.address).rpartition(".")[2])
