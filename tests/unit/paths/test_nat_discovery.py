from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from tests.sim.chance import SeededEntropy

from shadowmesh.paths.events import NatChanged, PortsReleased, PortsWanted, ReflexiveChanged
from shadowmesh.paths.nat_behaviour import UNKNOWN_NAT, Filtering, Mapping, NatBehaviour
from shadowmesh.paths.nat_discovery import PORTS, NatDiscovery, NatOutput
from shadowmesh.paths.reflexive import StunDrop
from shadowmesh.wire import stun
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

SERVERS = [
    Endpoint.of("198.19.0.1", 3478),
    Endpoint.of("198.19.0.1", 3479),
    Endpoint.of("198.19.0.2", 3478),
    Endpoint.of("198.19.0.3", 3478),
]
OTHER_PORT = SERVERS[1]
OWN = [IPv4Address("192.168.1.2")]
APD = Mapping.ADDRESS_AND_PORT_DEPENDENT
Nat = Callable[[Transmit], int]  # the outside port of what is sent


def test_until_servers_have_answered_nothing_is_known() -> None:
    discovery = asking()
    assert discovery.behaviour == UNKNOWN_NAT
    assert discovery.newest is None


def test_all_tests_are_made_from_ports_of_their_own() -> None:
    discovery = asking()
    requests = transmits(discovery)
    assert {request.via for request in requests} == {0}
    for request in requests:
        answer(discovery, request, 5000, now=0.1)
    assert wanted(discovery) == [PortsWanted(None, 1)]
    discovery.ports_opened([7], 1.0)
    (request,) = transmits(discovery)
    assert (request.via, request.destination) == (7, SERVERS[0])
    assert stun.decode(request.payload).change_port


def test_an_answer_from_the_servers_other_port_shows_a_filter_by_address() -> None:
    discovery = under_test(easy, [7])
    (request,) = transmits(discovery)
    answer(discovery, request, 5000, source=OTHER_PORT, now=1.1)
    assert discovery.behaviour.filtering is Filtering.ADDRESS_DEPENDENT
    assert PortsReleased((7,)) in drained(discovery)


def test_no_answer_from_the_other_port_shows_a_filter_by_port() -> None:
    discovery = under_test(easy, [7])
    outputs = run_out(discovery)
    assert discovery.behaviour.filtering is Filtering.ADDRESS_AND_PORT_DEPENDENT
    assert PortsReleased((7,)) in outputs
    assert len([output for output in outputs if isinstance(output, Transmit)]) == 3


def test_an_answer_from_the_port_that_was_asked_shows_nothing() -> None:
    """A server that does not know CHANGE-REQUEST answers from there."""
    discovery = under_test(easy, [7])
    (request,) = transmits(discovery)
    for source in (SERVERS[0], SERVERS[2]):
        answer(discovery, request, 5000, source=source, now=1.1)
    assert discovery.behaviour.filtering is Filtering.UNKNOWN


def test_a_hard_nat_is_asked_for_samples_of_its_ports() -> None:
    discovery = asking()
    answer_all(discovery, in_a_block)
    assert wanted(discovery) == [PortsWanted(None, PORTS)]
    discovery.ports_opened(range(1, PORTS + 1), 1.0)
    for request in transmits(discovery):
        if stun.decode(request.payload).change_port:
            continue
        answer(discovery, request, 20000 + 50 * local_port(request), now=1.1)
    run_out(discovery)
    block = discovery.behaviour.block
    assert block is not None
    assert 20100 in block
    assert 20450 in block
    assert discovery.newest == outside(20450)


def test_samples_that_lie_all_over_are_no_block() -> None:
    discovery = under_test(scattered, range(1, PORTS + 1))
    for request in transmits(discovery):
        if not stun.decode(request.payload).change_port:
            answer(discovery, request, 6000 * local_port(request), now=1.1)
    run_out(discovery)
    assert discovery.behaviour.block is None


def test_a_nat_that_counts_is_left_alone() -> None:
    """A test would take a port, and the peer counts from the one before."""
    discovery = asking()
    answer_all(discovery, counting)
    assert wanted(discovery) == []
    assert discovery.behaviour == NatBehaviour(APD, step=1)
    assert discovery.newest == outside(5003)


def test_the_tests_wait_until_all_servers_have_answered_or_failed() -> None:
    discovery = asking()
    for request in transmits(discovery)[:3]:
        answer(discovery, request, 5000, now=0.1)
    assert wanted(discovery) == []
    assert PortsWanted(None, 1) in run_out(discovery)


def test_who_has_no_nat_is_told_so_and_its_firewall_is_tested() -> None:
    discovery = asking()
    for request in transmits(discovery):
        answer(discovery, request, 41641, address="192.168.1.2", now=0.1)
    assert discovery.behaviour.mapping is Mapping.NONE
    assert wanted(discovery) == [PortsWanted(None, 1)]


def test_each_thing_learnt_is_told_once() -> None:
    discovery = asking()
    requests = transmits(discovery)
    for request in requests:
        answer(discovery, request, 5000, now=0.1)
    told = [output.behaviour.mapping for output in drained(discovery) if isinstance(output, NatChanged)]
    assert told == [Mapping.UNKNOWN, Mapping.ENDPOINT_INDEPENDENT]  # first where we are seen, then what it means


def test_the_tests_are_made_once_on_a_network() -> None:
    discovery = under_test(easy, [7])
    run_out(discovery)
    discovery.refresh(100.0)
    answer_all(discovery, easy, 100.1)
    assert wanted(discovery) == []


def test_a_new_network_is_tested_anew_and_what_was_learnt_is_forgotten() -> None:
    discovery = under_test(easy, [7])
    run_out(discovery)
    discovery.network_changed(100.0)
    assert discovery.behaviour == UNKNOWN_NAT
    assert discovery.newest is None
    answer_all(discovery, easy, 100.1)
    assert wanted(discovery) == [PortsWanted(None, 1)]


def test_a_new_network_ends_the_tests_of_the_old_one() -> None:
    discovery = under_test(easy, [7])
    (request,) = transmits(discovery)
    discovery.network_changed(1.1)
    assert PortsReleased((7,)) in drained(discovery)
    answer(discovery, request, 5000, source=OTHER_PORT, now=1.2)
    assert discovery.behaviour == UNKNOWN_NAT


def test_ports_that_nobody_waits_for_are_released() -> None:
    discovery = asking()
    drained(discovery)
    discovery.ports_opened([7, 8], 0.1)
    assert drained(discovery) == [PortsReleased((7, 8))]


def test_ports_that_come_after_a_change_of_network_are_released() -> None:
    discovery = asking()
    answer_all(discovery, easy)
    discovery.network_changed(0.5)
    drained(discovery)
    discovery.ports_opened([7], 0.6)
    assert drained(discovery) == [PortsReleased((7,))]


def test_without_ports_the_filter_stays_unknown() -> None:
    discovery = under_test(easy, [])
    assert drained(discovery) == []
    assert discovery.behaviour == NatBehaviour(Mapping.ENDPOINT_INDEPENDENT)


@pytest.mark.parametrize("data", [b"", b"\0" * 20, b"\1" * 19, stun.encode_binding_success(bytes(12), SERVERS[0])])
def test_what_is_no_answer_to_a_test_is_dropped_and_counted(data: bytes) -> None:
    discovery = under_test(easy, [7])
    drained(discovery)
    for via in (7, 8):
        discovery.receive_datagram(data, SERVERS[0], via, 1.1)
    assert drained(discovery) == []
    assert sum(discovery.drops.values()) == 2
    assert set(discovery.drops) <= {drop.value for drop in StunDrop}


def asking() -> NatDiscovery:
    discovery = NatDiscovery(entropy=SeededEntropy(1), ids=OpenIds())
    discovery.set_own_addresses(OWN, 0.0)
    discovery.set_servers(SERVERS, 0.0)
    return discovery


def under_test(nat: Nat, ports: Sequence[int]) -> NatDiscovery:
    """All servers have answered, and there are ports to test with."""
    discovery = asking()
    answer_all(discovery, nat)
    drained(discovery)
    discovery.ports_opened(ports, 1.0)
    return discovery


def easy(_: Transmit) -> int:
    return 5000


def counting(request: Transmit) -> int:
    return 5000 + SERVERS.index(request.destination)


def in_a_block(request: Transmit) -> int:
    return (20110, 20400, 20030, 20290)[SERVERS.index(request.destination)]


def scattered(request: Transmit) -> int:
    return (5000, 31000, 9000, 17000)[SERVERS.index(request.destination)]


def answer_all(discovery: NatDiscovery, nat: Nat, now: float = 0.1) -> None:
    """The requests that are in the queue; what else is in it is lost."""
    for request in transmits(discovery):
        answer(discovery, request, nat(request), now=now)


def answer(
    discovery: NatDiscovery,
    request: Transmit,
    port: int,
    *,
    now: float,
    source: Endpoint | None = None,
    address: str = "203.0.113.5",
) -> None:
    transaction_id = stun.decode(request.payload).transaction_id
    success = stun.encode_binding_success(transaction_id, outside(port, address))
    discovery.receive_datagram(success, source or request.destination, local_port(request), now)


def local_port(request: Transmit) -> int:
    """Each request names its own: an observer's endpoint says nothing of it."""
    assert request.via is not None
    return request.via


def outside(port: int, address: str = "203.0.113.5") -> Endpoint:
    return Endpoint.of(address, port)


def run_out(discovery: NatDiscovery) -> list[NatOutput]:
    """Nobody answers any more."""
    outputs = drained(discovery)
    while (due_at := discovery.next_timeout()) is not None:
        discovery.handle_timeout(due_at)
        outputs += drained(discovery)
    return outputs


def wanted(discovery: NatDiscovery) -> list[PortsWanted]:
    return [output for output in drained(discovery) if isinstance(output, PortsWanted)]


def transmits(discovery: NatDiscovery) -> list[Transmit]:
    return [output for output in drained(discovery) if isinstance(output, Transmit)]


def drained(discovery: NatDiscovery) -> list[NatOutput]:
    outputs = []
    while (output := discovery.poll()) is not None:
        outputs.append(output)
    return outputs


class PortsComeBack(RuleBasedStateMachine):
    """Whatever comes in which order: each port that was opened is released once, and the next deadline lies ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.discovery = asking()
        self.wanted: list[PortsWanted] = []
        self.open: set[int] = set()
        self.asked: list[Transmit] = []
        self.next_port = 1
        self.drain()

    @precondition(lambda self: self.wanted)
    @rule(count=st.integers(0, PORTS))
    def ports_open(self, count: int) -> None:
        assert self.wanted.pop(0).count <= PORTS
        ports = range(self.next_port, self.next_port + count)
        self.next_port += count
        self.open |= set(ports)
        self.discovery.ports_opened(ports, self.now)
        self.drain()

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), port=st.integers(1024, 65535), source=st.none() | st.sampled_from(SERVERS))
    def an_answer_comes(self, data: st.DataObject, port: int, source: Endpoint | None) -> None:
        answer(self.discovery, data.draw(st.sampled_from(self.asked[-13:])), port, now=self.now, source=source)
        self.drain()

    @precondition(lambda self: self.asked)
    @rule(port=st.integers(1024, 65535))
    def all_answers_come(self, port: int) -> None:
        for request in self.asked[-13:]:
            answer(self.discovery, request, port, now=self.now)
        self.drain()

    @rule(data=st.binary(max_size=60), via=st.integers(0, 20))
    def noise_comes(self, data: bytes, via: int) -> None:
        self.discovery.receive_datagram(data, SERVERS[0], via, self.now)
        self.drain()

    @rule()
    def the_network_changes(self) -> None:
        self.discovery.network_changed(self.now)
        self.drain()

    @rule(wait=st.sampled_from([0.0, 0.4, 1.0, 8.0, 30.0]), needed=st.booleans())
    def time_passes(self, wait: float, *, needed: bool) -> None:
        self.now += wait
        self.discovery.keep_fresh(needed, self.now)
        self.discovery.handle_timeout(self.now)
        self.drain()
        due_at = self.discovery.next_timeout()
        assert due_at is None or due_at > self.now

    def teardown(self) -> None:
        self.discovery.network_changed(self.now)
        self.drain()
        assert not self.open

    def drain(self) -> None:
        for output in drained(self.discovery):
            match output:
                case PortsWanted():
                    self.wanted.append(output)
                case PortsReleased(ports=ports):
                    assert set(ports) <= self.open
                    self.open -= set(ports)
                case Transmit(via=via):
                    assert via == 0 or via in self.open
                    self.asked.append(output)
                case ReflexiveChanged() | NatChanged():
                    pass


TestPortsComeBack = PortsComeBack.TestCase
TestPortsComeBack.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
