"""Two and more handshakers in an in-memory network: seeded loss, duplication and reordering on a virtual clock."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random

from shadowmesh.identity.keys import Identity
from shadowmesh.records.peer_record import PeerRecord, SignedRecord
from shadowmesh.session.events import HandshakeFailed, SessionEstablished, SessionEvent
from shadowmesh.session.handshaker import Handshaker
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import MAX_DATAGRAM_BYTES, Transmit

WALL_CLOCK = 1_800_000_000
START = 1000.0
_ONE_WAY_S = 0.02


@cache
def identity(number: int) -> Identity:
    return Identity(number.to_bytes(32, "big"))


def ordered(first: int = 1, second: int = 2) -> tuple[int, int]:
    """The two numbers, the one with the lower PeerID first."""
    low, high = sorted((first, second), key=lambda number: identity(number).peer_id)
    return low, high


@cache
def record(
    number: int, *, sequence: int = 1, wireguard_key: bytes = b"", capabilities: int = 0, ttl_s: int = 86400
) -> SignedRecord:
    return PeerRecord(
        public=identity(number).public,
        sequence=sequence,
        issued_at=WALL_CLOCK,
        ttl_s=ttl_s,
        wireguard_key=wireguard_key or bytes([number]) * 32,
        capabilities=capabilities,
    ).sign(identity(number))


def endpoint(number: int, port: int = 41641) -> Endpoint:
    """Each number is in a /24 of its own."""
    return Endpoint.of(f"198.{18 + number // 256}.{number % 256}.1", port)


DEAD = Endpoint.of("203.0.113.1", 9)


def seeded_entropy(seed: int) -> Callable[[int], bytes]:
    return Random(seed).randbytes  # noqa: S311  a failure must come again


@dataclass(frozen=True)
class Link:
    """Probabilities a datagram, decided by the world's seed."""

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0  # delayed by up to half a second


@dataclass(frozen=True)
class Sent:
    at: float
    payload: bytes
    source: Endpoint
    destination: Endpoint

    @property
    def message(self) -> int:
        return self.payload[2]


@dataclass
class Node:
    number: int
    own: SignedRecord
    handshaker: Handshaker
    endpoints: tuple[Endpoint, ...]
    events: list[SessionEvent] = field(default_factory=list)

    @property
    def sessions(self) -> list[SessionEstablished]:
        return [event for event in self.events if isinstance(event, SessionEstablished)]

    @property
    def session(self) -> SessionEstablished:
        return self.sessions[-1]

    @property
    def failures(self) -> list[HandshakeFailed]:
        return [event for event in self.events if isinstance(event, HandshakeFailed)]


PERFECT = Link()
BAD = Link(loss=0.2, duplication=0.1, reordering=0.2)


class World:
    """Time jumps from event to event. What is sent to an endpoint that no node has is lost.

    A node with several endpoints sends from the one with the same place in its tuple as the destination has in the
    tuple of the other: path 0 joins the first ones, path 1 the second ones.
    """

    def __init__(self, seed: int = 1, link: Link = Link()) -> None:
        self.now = START
        self.wall_clock = float(WALL_CLOCK)
        self.nodes: list[Node] = []
        self.sent: list[Sent] = []
        self.link = link
        self.lose: Callable[[Sent], bool] = lambda _: False
        self._random = Random(seed)  # noqa: S311  a failure must come again
        self._order = itertools.count()
        self._in_flight: list[tuple[float, int, Sent]] = []

    def node(self, number: int, *, endpoints: Sequence[Endpoint] = (), own: SignedRecord | None = None) -> Node:
        node = Node(
            number, own or record(number), self.handshaker(number, own), tuple(endpoints) or (endpoint(number),)
        )
        self.nodes.append(node)
        return node

    def handshaker(self, number: int, own: SignedRecord | None = None) -> Handshaker:
        return Handshaker(
            identity(number),
            own or record(number),
            entropy=seeded_entropy(self._random.getrandbits(64)),
            wall_clock=lambda: self.wall_clock,
            now=self.now,
            ids=OpenIds(),
        )

    def pair(self, first: int = 1, second: int = 2) -> tuple[Node, Node]:
        """Two nodes that trust each other."""
        a, b = self.node(first), self.node(second)
        self.trust(a, b)
        return a, b

    def trust(self, a: Node, b: Node) -> None:
        a.handshaker.allow(identity(b.number).fingerprint, None)
        b.handshaker.allow(identity(a.number).fingerprint, None)

    def connect(self, a: Node, b: Node, endpoints: Sequence[Endpoint] = ()) -> None:
        a.handshaker.connect(record(b.number), tuple(endpoints) or b.endpoints, self.now)
        self.drain(a)

    def take_refused(self, node: Node, peer: Node) -> bool:
        """Trusts a peer that may have begun already."""
        node.handshaker.allow(identity(peer.number).fingerprint, None)
        taken = node.handshaker.take_refused(identity(peer.number).peer_id, self.now)
        self.drain(node)
        return taken

    def inject(self, payload: bytes, source: Endpoint, node: Node) -> list[Transmit]:
        """Delivers a datagram now; what the node sends at once goes into the network, and is returned."""
        before = len(self.sent)
        node.handshaker.receive_datagram(payload, source, self.now)
        self.drain(node)
        return [Transmit(sent.payload, sent.destination) for sent in self.sent[before:]]

    def drain(self, node: Node) -> None:
        while (output := node.handshaker.poll()) is not None:
            if isinstance(output, Transmit):
                self._send(node, output)
            else:
                node.events.append(output)

    def run(self, seconds: float = 40.0) -> None:
        """Until that time has passed, or nothing is in flight and no timer is set."""
        end = self.now + seconds
        while (when := self._next()) is not None and when <= end:
            self.now = max(self.now, when)
            while self._in_flight and self._in_flight[0][0] <= self.now:
                self._deliver(heapq.heappop(self._in_flight)[2])
            for node in self.nodes:
                deadline = node.handshaker.next_timeout()
                if deadline is not None and deadline <= self.now:
                    node.handshaker.handle_timeout(self.now)
                    self.drain(node)
                    after = node.handshaker.next_timeout()
                    assert after is None or after > self.now
        self.now = end

    def run_until(self, done: Callable[[], bool], seconds: float = 40.0) -> None:
        end = self.now + seconds
        while not done():
            when = self._next()
            assert when is not None, "nothing happens any more"
            assert when <= end, "it takes too long"
            self.run(max(0.0, when - self.now))

    def sent_by(self, node: Node, message: int | None = None) -> list[Sent]:
        return [sent for sent in self.sent if sent.source in node.endpoints and message in (None, sent.message)]

    def _next(self) -> float | None:
        deadlines = [node.handshaker.next_timeout() for node in self.nodes]
        times = [when for when in deadlines if when is not None] + [item[0] for item in self._in_flight[:1]]
        return min(times, default=None)

    def _send(self, node: Node, transmit: Transmit) -> None:
        assert len(transmit.payload) <= MAX_DATAGRAM_BYTES
        path = next(
            (
                other.endpoints.index(transmit.destination)
                for other in self.nodes
                if transmit.destination in other.endpoints
            ),
            0,
        )
        source = node.endpoints[min(path, len(node.endpoints) - 1)]
        sent = Sent(self.now, transmit.payload, source, transmit.destination)
        self.sent.append(sent)
        if self.lose(sent) or self._random.random() < self.link.loss:
            return
        for _ in range(2 if self._random.random() < self.link.duplication else 1):
            late = self._random.uniform(0, 0.5) if self._random.random() < self.link.reordering else 0.0
            heapq.heappush(self._in_flight, (self.now + _ONE_WAY_S + late, next(self._order), sent))

    def _deliver(self, sent: Sent) -> None:
        for node in self.nodes:
            if sent.destination in node.endpoints:
                node.handshaker.receive_datagram(sent.payload, sent.source, self.now)
                self.drain(node)


def until_quiet(world: World, a: Node, b: Node) -> None:
    """An attempt that failed is begun again, as the owner of the machine does."""
    for _ in range(5):
        world.run(100)
        if not (a.failures or b.failures):
            return
        begin = (a, b) if a.failures else (b, a)
        for node in (a, b):
            node.events[:] = node.sessions
        world.connect(*begin)
    raise AssertionError("attempts fail for ever")
