"""Finds out what our NAT does: how it maps the main port, where its ports lie, and how it filters.

The main port is never used for a test that could disturb its mapping; the tests have ports of their own, which are
released afterwards. Spec: docs/spec/paths.md, section 4.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from math import inf

from shadowmesh.paths import nat_behaviour as nat
from shadowmesh.paths.classification import MIN_SAMPLES, Observation, classify_mapping, estimate_block, steady_step
from shadowmesh.paths.events import NatChanged, PortsReleased, PortsWanted, ReflexiveChanged
from shadowmesh.paths.nat_behaviour import Filtering, NatBehaviour
from shadowmesh.paths.reflexive import REFRESH_S, ReflexiveDiscovery, StunDrop
from shadowmesh.wire import stun
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.open_ids import ID_BYTES, OpenIds
from shadowmesh.wire.transmit import Transmit

_RETRANSMIT_OFFSETS_S = (0.0, 0.4, 1.0)
_GIVE_UP_AFTER_S = 2.0
SAMPLE_LASTS_S = 0.5  # two calls that cross count from the same port: a second sample would take the next one
PORTS = MIN_SAMPLES + 1  # one for the filtering, the others to see where ports lie

NatOutput = Transmit | ReflexiveChanged | NatChanged | PortsWanted | PortsReleased


@dataclass(slots=True)
class _Test:
    """One request from one port."""

    transaction_id: bytes
    change_port: bool
    answer: Endpoint | None = None

    @property
    def id(self) -> bytes:
        return self.transaction_id[:ID_BYTES]


@dataclass(slots=True)
class _Tests:
    server: Endpoint
    by_port: dict[int, _Test]
    started_at: float
    sent: int = 0

    @property
    def due_at(self) -> float:
        return self.started_at + (*_RETRANSMIT_OFFSETS_S, _GIVE_UP_AFTER_S)[self.sent]

    @property
    def all_answered(self) -> bool:
        return all(test.answer is not None for test in self.by_port.values())

    def is_answer(self, message: stun.StunMessage, source: Endpoint, test: _Test) -> bool:
        """Only one from another port of the server, where that was asked for, says anything of the filter."""
        is_from_where_asked = source.address == self.server.address and (source != self.server) is test.change_port
        return is_from_where_asked and message.transaction_id == test.transaction_id and message.mapped is not None


class NatDiscovery:
    """After each call: drain `poll()`, then read `next_timeout()`."""

    def __init__(self, *, entropy: Entropy, ids: OpenIds) -> None:
        self._entropy = entropy
        self._ids = ids
        self._reflexive = ReflexiveDiscovery(entropy=entropy, ids=ids)
        self._own: frozenset[IPv4Address | IPv6Address] = frozenset()
        self._servers: tuple[Endpoint, ...] = ()
        self._behaviour = nat.UNKNOWN_NAT
        self._told: tuple[NatBehaviour, Endpoint | None] = (self._behaviour, None)
        self._tests: _Tests | None = None
        self._tested = False  # on this network
        self._waits_for_ports = False
        self._samples_newest = False
        self._sampled_at = -inf
        self._samples: list[int] = []  # ports that the NAT chose for our test ports, in that order
        self._filtering = Filtering.UNKNOWN
        self._newest: Endpoint | None = None
        self._main_seen: tuple[Endpoint, ...] = ()
        self._out: deque[NatOutput] = deque()
        self._drops: Counter[str] = Counter()

    @property
    def behaviour(self) -> NatBehaviour:
        """Of IPv4: behind IPv6 there are firewalls, but hardly any translation."""
        return self._behaviour

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return self._reflexive.endpoints

    @property
    def observations(self) -> tuple[Observation, ...]:
        return self._reflexive.observations

    @property
    def servers(self) -> tuple[Endpoint, ...]:
        """Who is asked."""
        return self._reflexive.servers

    @property
    def is_asking(self) -> bool:
        """Whether an answer, or a test, is still to come."""
        return self._reflexive.is_asking or self._waits_for_ports or self._tests is not None

    @property
    def newest(self) -> Endpoint | None:
        """The IPv4 mapping that was made last, for any of our ports: where a NAT that counts stands."""
        return self._newest

    def set_servers(self, servers: Sequence[Endpoint], now: float) -> None:
        self._servers = tuple(servers)
        self._ask_reachable(now)

    def set_own_addresses(self, addresses: Collection[IPv4Address | IPv6Address], now: float) -> None:
        self._own = frozenset(addresses)
        self._ask_reachable(now)

    def refresh(self, now: float, *, max_age_s: float = REFRESH_S) -> None:
        self._reflexive.refresh(now, max_age_s=max_age_s)
        self._advance(now)

    def keep_fresh(self, needed: bool, now: float) -> None:
        self._reflexive.keep_fresh(needed, now)
        self._advance(now)

    def network_changed(self, now: float) -> None:
        """Forgets what was learnt of the NAT before, and asks again."""
        self._end_tests()
        self._tested = False
        self._samples.clear()
        self._filtering = Filtering.UNKNOWN
        self._behaviour = nat.UNKNOWN_NAT
        self._reflexive.network_changed(now)
        self._advance(now)

    def check_again(self, now: float) -> None:
        """Asks and tests anew; until then what was learnt holds."""
        self._end_tests()
        self._tested = False
        self._samples.clear()
        self._reflexive.ask(now)
        self._advance(now)

    @property
    def is_sampling(self) -> bool:
        """Whether `sample` goes on."""
        return self._samples_newest

    def sample(self, now: float) -> None:
        """Behind a NAT that counts: finds out where it stands, by one more mapping. Others take ports at any time."""
        idle = not self._waits_for_ports and self._tests is None
        if self._behaviour.is_predictable and idle and now >= self._sampled_at + SAMPLE_LASTS_S:
            self._sampled_at = now
            self._samples_newest = self._waits_for_ports = True
            self._out.append(PortsWanted(None, 1))
            self._advance(now)

    def ports_opened(self, ports: Sequence[int], now: float) -> None:
        """The answer to PortsWanted; none when the system gives none."""
        servers = [seen.observer for seen in self._reflexive.observations if seen.observer.address.version == 4]
        if not self._waits_for_ports or not ports or not servers:
            if ports:
                self._out.append(PortsReleased(tuple(ports)))
            self._waits_for_ports = self._samples_newest = False
            return
        self._waits_for_ports = False
        tests = {
            port: _Test(self._entropy(stun.TRANSACTION_ID_BYTES), number == 0 and not self._samples_newest)
            for number, port in enumerate(ports)
        }
        for test in tests.values():
            self._ids.open(test.id)
        self._tests = _Tests(servers[0], tests, now)
        self._advance(now)

    def receive_datagram(self, data: bytes, source: Endpoint, via: int, now: float) -> None:
        if via == 0:
            self._reflexive.receive_datagram(data, source, now)
        else:
            self._receive_test(data, source, via)
        self._advance(now)

    def handle_timeout(self, now: float) -> None:
        self._reflexive.handle_timeout(now)
        self._advance(now)

    def next_timeout(self) -> float | None:
        deadlines = [self._reflexive.next_timeout(), None if self._tests is None else self._tests.due_at]
        return min((at for at in deadlines if at is not None), default=None)

    def poll(self) -> NatOutput | None:
        return self._out.popleft() if self._out else None

    @property
    def drops(self) -> Mapping[str, int]:
        return self._drops + Counter(self._reflexive.drops)

    def _ask_reachable(self, now: float) -> None:
        """Only those of an address family that we have an address of, once that is known."""
        versions = {address.version for address in self._own} or {4, 6}
        self._reflexive.set_servers([each for each in self._servers if each.address.version in versions], now)
        self._advance(now)

    def _advance(self, now: float) -> None:
        self._send_tests(now)
        while (output := self._reflexive.poll()) is not None:
            self._out.append(output)
            if isinstance(output, ReflexiveChanged):
                self._main_port_seen()
        behaviour = self._behaviour if self._reflexive.is_refreshing(4) else self._classify()
        if (behaviour, self._newest) != self._told:
            self._told = (behaviour, self._newest)
            self._behaviour = behaviour
            self._out.append(NatChanged(behaviour))
        if not self._tested and not self._reflexive.is_asking_over(4) and behaviour.mapping is not nat.Mapping.UNKNOWN:
            self._tested = True
            self._want_ports(behaviour)

    def _main_port_seen(self) -> None:
        seen = tuple(each for each in self.endpoints if each.address.version == 4)
        if seen != self._main_seen:
            self._main_seen = seen
            self._newest = seen[-1] if seen else None

    def _classify(self) -> NatBehaviour:
        seen = [observation for observation in self.observations if observation.mapped.address.version == 4]
        mapping, step = classify_mapping(seen, self._own)
        if mapping not in nat.HARD_MAPPINGS:
            return NatBehaviour(mapping, self._filtering)
        step = step or steady_step(self._samples)
        block = None if step else estimate_block({*self._samples, *(each.mapped.port for each in seen)})
        return NatBehaviour(mapping, self._filtering, step, block)

    def _want_ports(self, behaviour: NatBehaviour) -> None:
        if behaviour.is_predictable:
            return  # a test takes a port, and the peer would count from the one before
        self._waits_for_ports = True
        self._out.append(PortsWanted(None, PORTS if behaviour.is_hard else 1))

    def _receive_test(self, data: bytes, source: Endpoint, via: int) -> None:
        test = None if self._tests is None else self._tests.by_port.get(via)
        try:
            message = stun.decode(data)
        except DecodeError:
            self._drops[StunDrop.MALFORMED.value] += 1
            return
        if self._tests is None or test is None or not self._tests.is_answer(message, source, test):
            self._drops[StunDrop.UNASKED.value] += 1
            return
        test.answer = message.mapped
        if self._tests.all_answered:
            self._conclude()

    def _send_tests(self, now: float) -> None:
        tests = self._tests
        if tests is None or now < tests.due_at:
            return
        if tests.sent == len(_RETRANSMIT_OFFSETS_S):
            self._conclude()
            return
        tests.started_at = now - _RETRANSMIT_OFFSETS_S[tests.sent]
        tests.sent += 1
        for port, test in tests.by_port.items():
            if test.answer is None:
                request = stun.encode_binding_request(test.transaction_id, change_port=test.change_port)
                self._out.append(Transmit(request, tests.server, port))

    def _conclude(self) -> None:
        """The server that is asked for it answers from its other port: that it did not come shows the filter."""
        tests = self._tests
        if tests is None:
            return
        for port, test in tests.by_port.items():
            if test.change_port:
                came = test.answer is not None
                self._filtering = Filtering.ADDRESS_DEPENDENT if came else Filtering.ADDRESS_AND_PORT_DEPENDENT
            elif test.answer is not None and test.answer.port != port and not self._samples_newest:
                self._samples.append(test.answer.port)  # one that it kept tells nothing of its choice
            self._newest = test.answer or self._newest
        if self._samples_newest:
            self._told = (self._behaviour, self._newest)  # who asked for it looks itself
        self._end_tests()

    def _end_tests(self) -> None:
        if self._tests is not None:
            for test in self._tests.by_port.values():
                self._ids.close(test.id)
            self._out.append(PortsReleased(tuple(self._tests.by_port)))
        self._tests = None
        self._waits_for_ports = self._samples_newest = False
