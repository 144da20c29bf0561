from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shadowmesh.mesh.extra_ports import GRACE_S, MAX_BOUND, SWEEP_INTERVAL_S, ExtraPorts
from shadowmesh.wire.endpoint import Endpoint

HERE, THERE = Endpoint.of("203.0.113.2", 41641), Endpoint.of("203.0.113.2", 5000)
LATE = GRACE_S + SWEEP_INTERVAL_S


def test_without_another_port_the_main_one_leads_anywhere() -> None:
    ports = ExtraPorts()
    assert ports[HERE] == 0
    assert ports.next_timeout() is None


def test_what_goes_to_an_endpoint_goes_through_its_port() -> None:
    ports = ExtraPorts()
    ports.bind(HERE, 7, 0.0)
    assert (ports[HERE], ports[THERE]) == (7, 0)


def test_a_port_that_nobody_uses_is_closed_after_a_grace() -> None:
    ports = ExtraPorts()
    ports.bind(HERE, 7, 0.0)
    assert ports.sweep([], GRACE_S - 1) == ()
    assert ports.sweep([], LATE) == (7,)
    assert ports[HERE] == 0
    assert ports.next_timeout() is None


def test_a_port_in_use_stays() -> None:
    ports = ExtraPorts()
    ports.bind(HERE, 7, 0.0)
    assert ports.sweep([(HERE, 7)], LATE) == ()
    assert ports[HERE] == 7


def test_a_port_that_leads_to_two_endpoints_stays_while_one_of_them_is_in_use() -> None:
    ports = ExtraPorts()
    ports.bind(HERE, 7, 0.0)
    ports.bind(THERE, 7, 0.0)
    assert ports.sweep([(HERE, 7)], LATE) == ()
    assert ports[HERE] == 7
    assert ports.sweep([], 2 * LATE) == (7,)


def test_a_port_whose_endpoint_is_reached_through_another_is_closed_later() -> None:
    ports = ExtraPorts()
    ports.bind(HERE, 7, 0.0)
    ports.bind(HERE, 8, 1.0)
    assert ports[HERE] == 8
    assert ports.sweep([(HERE, 8)], LATE) == (7,)


def test_a_port_that_a_punch_has_found_and_no_path_took_is_closed_and_the_old_one_leads_there_again() -> None:
    ports = ExtraPorts()
    ports.bind(HERE, 7, 0.0)
    ports.bind(HERE, 8, 1.0)
    assert ports.sweep([(HERE, 7)], LATE) == (8,)
    assert ports[HERE] == 7


def test_a_port_whose_endpoint_is_reached_through_the_main_one_is_closed_later() -> None:
    ports = ExtraPorts()
    ports.bind(HERE, 7, 0.0)
    ports.bind(HERE, 0, 1.0)
    assert ports[HERE] == 0
    assert ports.sweep([(HERE, 0)], LATE) == (7,)
    assert ports[HERE] == 0


def test_closed_ports_are_forgotten_and_not_closed_again() -> None:
    ports = ExtraPorts()
    ports.bind(HERE, 7, 0.0)
    ports.unbind([7, 9])
    assert ports[HERE] == 0
    assert ports.sweep([], LATE) == ()


def test_the_table_is_bounded_and_what_has_no_place_is_closed() -> None:
    ports = ExtraPorts()
    for number in range(1, MAX_BOUND + 1):
        ports.bind(Endpoint.of("203.0.113.2", number), 7, 0.0)
    ports.bind(Endpoint.of("203.0.113.3", 1), 8, 0.0)
    assert ports[Endpoint.of("203.0.113.3", 1)] == 0
    assert ports.sweep([(Endpoint.of("203.0.113.2", 1), 7)], LATE) == (8,)


class NoPortIsLost(RuleBasedStateMachine):
    """Each port that was bound once leads somewhere that is used, or is closed once."""

    ENDPOINTS = tuple(Endpoint.of("203.0.113.2", number) for number in range(1, 5))

    def __init__(self) -> None:
        super().__init__()
        self.ports = ExtraPorts()
        self.now = 0.0
        self.open: set[int] = set()
        self.next_port = 1

    @rule(endpoint=st.sampled_from(ENDPOINTS))
    def bind_a_new_port(self, endpoint: Endpoint) -> None:
        self.open.add(self.next_port)
        self.ports.bind(endpoint, self.next_port, self.now)
        self.next_port += 1

    @precondition(lambda self: self.open)
    @rule(endpoint=st.sampled_from(ENDPOINTS), data=st.data())
    def bind_again(self, endpoint: Endpoint, data: st.DataObject) -> None:
        self.ports.bind(endpoint, data.draw(st.sampled_from(sorted(self.open))), self.now)

    @rule(endpoint=st.sampled_from(ENDPOINTS))
    def bind_to_the_main_port(self, endpoint: Endpoint) -> None:
        self.ports.bind(endpoint, 0, self.now)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def somebody_closes_one(self, data: st.DataObject) -> None:
        port = data.draw(st.sampled_from(sorted(self.open)))
        self.open.remove(port)
        self.ports.unbind([port])

    @rule(wait=st.sampled_from([1.0, SWEEP_INTERVAL_S, LATE]), in_use=st.sets(st.sampled_from(ENDPOINTS)))
    def sweep(self, wait: float, in_use: set[Endpoint]) -> None:
        self.now += wait
        used = {self.ports[endpoint] for endpoint in in_use}
        for port in self.ports.sweep([(endpoint, self.ports[endpoint]) for endpoint in in_use], self.now):
            assert port not in used
            self.open.remove(port)
        due_at = self.ports.next_timeout()
        assert due_at is None or due_at > self.now

    @invariant()
    def nothing_leads_through_a_closed_port(self) -> None:
        assert {self.ports[endpoint] for endpoint in self.ENDPOINTS} <= {0, *self.open}

    def teardown(self) -> None:
        closed = self.ports.sweep([], self.now + LATE)
        assert sorted(closed) == sorted(self.open)


TestNoPortIsLost = NoPortIsLost.TestCase
TestNoPortIsLost.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
