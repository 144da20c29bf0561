"""A check of our network that a person waits for: what each backbone node sees of us, and how far away it is.

The observers that classify our NAT are asked anew at the same time, by `OwnPresence`. Here are the others, for their
distance. Spec: docs/spec/mesh.md, section 8.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from shadowmesh.paths.candidates import Candidate
from shadowmesh.paths.classification import Observation
from shadowmesh.paths.nat_behaviour import NatBehaviour
from shadowmesh.paths.reflexive import ReflexiveDiscovery
from shadowmesh.records.directory import BackboneNode
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

MAX_OTHERS = 32  # each takes an entry of a hard NAT's table: a page of a directory, over both address families


@dataclass(frozen=True, slots=True)
class Observer:
    """A backbone node's STUN endpoint. `mapped` is None when it has not answered."""

    endpoint: Endpoint
    url: str
    region: int
    mapped: Endpoint | None
    rtt_s: float | None


@dataclass(frozen=True, slots=True)
class NetworkReport:
    """What is known of the network that we are in. `link_online`: a backbone node is reached by TCP."""

    candidates: tuple[Candidate, ...]
    nat: NatBehaviour
    observers: tuple[Observer, ...]
    is_asking: bool  # some of them can still answer
    link_online: bool
    link_reason: str


class NetworkCheck:
    """After each call: drain `poll()`, then read `next_timeout()`. One check at a time."""

    def __init__(self, *, entropy: Entropy, ids: OpenIds) -> None:
        self._others = ReflexiveDiscovery(entropy=entropy, ids=ids, max_servers=MAX_OTHERS)
        self._started_at = 0.0
        self._is_running = False

    @property
    def is_running(self) -> bool:
        return self._is_running

    @property
    def is_asking(self) -> bool:
        return self._others.is_asking

    def start(
        self, nodes: Sequence[BackboneNode], asked: Sequence[Endpoint], versions: Collection[int], now: float
    ) -> None:
        """Of each node one endpoint of each of our IP versions is asked, unless somebody else asks it: `asked`."""
        self._started_at = now
        self._is_running = True
        others = [endpoint for node in nodes for endpoint in _one_a_version(node, versions) if endpoint not in asked]
        self._others.set_servers(others, now)
        if not self._others.is_asking:
            self._others.ask(now)

    def end_unless(self, others_are_asking: bool) -> bool:
        """True once, when all answers are there, or too late."""
        ends = self._is_running and not others_are_asking and not self._others.is_asking
        self._is_running = self._is_running and not ends
        return ends

    def takes(self, source: Endpoint) -> bool:
        return self._others.expects(source)

    def receive_datagram(self, data: bytes, source: Endpoint, now: float) -> None:
        self._others.receive_datagram(data, source, now)

    def handle_timeout(self, now: float) -> None:
        self._others.handle_timeout(now)

    def next_timeout(self) -> float | None:
        return self._others.next_timeout()

    def poll(self) -> Transmit | None:
        while (output := self._others.poll()) is not None:
            if isinstance(output, Transmit):
                return output
        return None

    def observers(
        self, nodes: Sequence[BackboneNode], asked: Sequence[Endpoint], seen: Sequence[Observation]
    ) -> tuple[Observer, ...]:
        """All that were asked, those of `asked` first, which have seen what is in `seen`; answers of the last check."""
        answers = {
            each.observer: each for each in [*self._others.observations, *seen] if each.seen_at >= self._started_at
        }
        owners = {endpoint: node for node in nodes for endpoint in node.stun}
        return tuple(
            _observer(endpoint, owners[endpoint], answers.get(endpoint))
            for endpoint in dict.fromkeys([*asked, *self._others.servers])
            if endpoint in owners
        )


def _observer(endpoint: Endpoint, node: BackboneNode, answer: Observation | None) -> Observer:
    if answer is None:
        return Observer(endpoint, node.url, node.region, None, None)
    return Observer(endpoint, node.url, node.region, answer.mapped, answer.rtt_s)


def _one_a_version(node: BackboneNode, versions: Collection[int]) -> Iterator[Endpoint]:
    for version in sorted(versions):
        yield from [endpoint for endpoint in node.stun if endpoint.address.version == version][:1]
