from __future__ import annotations

from tests.sim.chance import SeededEntropy

from shadowmesh.paths.events import ReflexiveChanged
from shadowmesh.paths.reflexive import MAX_SERVERS, REFRESH_S, ReflexiveDiscovery, StunDrop
from shadowmesh.wire import stun
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

SERVERS = [Endpoint.of("198.19.0.1", 3478), Endpoint.of("198.19.0.1", 3479), Endpoint.of("198.19.0.2", 3478)]
OUTSIDE, OUTSIDE_2 = Endpoint.of("203.0.113.5", 5000), Endpoint.of("203.0.113.5", 5001)


def test_all_servers_are_asked_at_once() -> None:
    discovery = asking()
    assert [request.destination for request in transmits(discovery)] == SERVERS


def test_an_answer_is_our_reflexive_endpoint() -> None:
    discovery = asking()
    answer(discovery, transmits(discovery)[0], OUTSIDE, 0.05)
    assert discovery.poll() == ReflexiveChanged((OUTSIDE,))
    assert discovery.endpoints == (OUTSIDE,)


def test_servers_that_see_the_same_give_one_endpoint() -> None:
    discovery = asking()
    first, second, third = transmits(discovery)
    answer(discovery, second, OUTSIDE, 0.05)
    answer(discovery, first, OUTSIDE, 0.05)
    answer(discovery, third, OUTSIDE_2, 0.05)
    assert discovery.endpoints == (OUTSIDE, OUTSIDE_2)


def test_an_unanswered_request_is_repeated_three_times_with_the_same_transaction() -> None:
    discovery = asking(SERVERS[:1])
    sent_at = []
    first = transmits(discovery)[0]
    while (at := discovery.next_timeout()) is not None:
        discovery.handle_timeout(at)
        for request in transmits(discovery):
            sent_at.append(at)
            assert request == first
    assert sent_at == [0.5, 1.5, 3.5]


def test_called_early_nothing_happens() -> None:
    discovery = asking()
    transmits(discovery)
    discovery.handle_timeout(0.4)
    assert discovery.poll() is None


def test_called_late_the_next_deadline_lies_ahead() -> None:
    discovery = asking()
    discovery.handle_timeout(100.0)
    due_at = discovery.next_timeout()
    assert due_at is not None
    assert due_at > 100.0


def test_an_answer_from_another_server_or_to_another_transaction_is_dropped() -> None:
    discovery = asking(SERVERS[:2])
    first, second = transmits(discovery)
    forged = stun.encode_binding_success(bytes(12), OUTSIDE)
    discovery.receive_datagram(forged, SERVERS[0], 0.1)
    crossed = stun.encode_binding_success(stun.decode(first.payload).transaction_id, OUTSIDE)
    discovery.receive_datagram(crossed, second.destination, 0.1)
    discovery.receive_datagram(b"\0\1\0\0", SERVERS[0], 0.1)
    assert discovery.endpoints == ()
    assert discovery.drops == {StunDrop.UNASKED.value: 2, StunDrop.MALFORMED.value: 1}


def test_an_answer_without_an_address_is_dropped() -> None:
    discovery = asking(SERVERS[:1])
    request = transmits(discovery)[0]
    discovery.receive_datagram(request.payload, SERVERS[0], 0.1)
    assert discovery.drops == {StunDrop.UNASKED.value: 1}


def test_nothing_is_asked_again_while_nobody_needs_it() -> None:
    discovery = asking(SERVERS[:1])
    answer(discovery, transmits(discovery)[0], OUTSIDE, 0.05)
    assert discovery.next_timeout() is None


def test_while_needed_the_mapping_is_refreshed() -> None:
    discovery = asking(SERVERS[:1])
    answer(discovery, transmits(discovery)[0], OUTSIDE, 0.05)
    discovery.keep_fresh(True, 1.0)
    assert discovery.next_timeout() == REFRESH_S
    discovery.handle_timeout(REFRESH_S)
    assert len([output for output in drained(discovery) if isinstance(output, Transmit)]) == 1


def test_a_stale_answer_is_refreshed_when_it_is_needed_again() -> None:
    discovery = asking(SERVERS[:1])
    answer(discovery, transmits(discovery)[0], OUTSIDE, 0.05)
    drained(discovery)
    discovery.keep_fresh(True, 10.0)
    assert drained(discovery) == []
    discovery.keep_fresh(False, 11.0)
    discovery.keep_fresh(True, 100.0)
    assert len(drained(discovery)) == 1


def test_a_changed_network_forgets_and_asks_again() -> None:
    discovery = asking(SERVERS[:1])
    answer(discovery, transmits(discovery)[0], OUTSIDE, 0.05)
    drained(discovery)
    discovery.network_changed(1.0)
    changed, request = drained(discovery)
    assert changed == ReflexiveChanged(())
    assert isinstance(request, Transmit)


def test_the_same_servers_are_not_asked_again() -> None:
    discovery = asking()
    drained(discovery)
    discovery.set_servers(SERVERS, 1.0)
    assert discovery.poll() is None


def test_fewer_servers_than_before_are_not_asked_again() -> None:
    discovery = asking()
    drained(discovery)
    discovery.set_servers(SERVERS[:1], 0.1)
    assert discovery.poll() is None
    discovery.handle_timeout(0.5)
    assert {request.destination for request in transmits(discovery)} == {SERVERS[0]}


def test_it_is_the_main_port_that_is_asked_for_whatever_else_may_lead_to_a_server() -> None:
    assert {request.via for request in transmits(asking())} == {0}


def test_a_second_round_is_a_refresh_until_all_have_answered() -> None:
    discovery = asking(SERVERS[:1])
    assert discovery.is_asking_over(4)
    assert not discovery.is_refreshing(4)
    answer(discovery, transmits(discovery)[0], OUTSIDE, 0.05)
    discovery.refresh(100.0)
    assert discovery.is_refreshing(4)
    assert not discovery.is_refreshing(6)
    answer(discovery, transmits(discovery)[0], OUTSIDE, 100.05)
    assert not discovery.is_asking_over(4)


def test_only_eight_servers_are_asked() -> None:
    many = [Endpoint.of("198.19.0.9", port) for port in range(1, 20)]
    assert len(transmits(asking(many))) == MAX_SERVERS


def test_without_servers_there_is_nothing_to_do() -> None:
    discovery = asking([])
    discovery.keep_fresh(True, 50.0)
    discovery.network_changed(60.0)
    assert discovery.poll() is None
    assert discovery.next_timeout() is None


def asking(servers: list[Endpoint] = SERVERS) -> ReflexiveDiscovery:
    discovery = ReflexiveDiscovery(entropy=SeededEntropy(1), ids=OpenIds())
    discovery.set_servers(servers, 0.0)
    return discovery


def answer(discovery: ReflexiveDiscovery, request: Transmit, mapped: Endpoint, now: float) -> None:
    transaction_id = stun.decode(request.payload).transaction_id
    discovery.receive_datagram(stun.encode_binding_success(transaction_id, mapped), request.destination, now)


def transmits(discovery: ReflexiveDiscovery) -> list[Transmit]:
    return [output for output in drained(discovery) if isinstance(output, Transmit)]


def drained(discovery: ReflexiveDiscovery) -> list[Transmit | ReflexiveChanged]:
    outputs = []
    while (output := discovery.poll()) is not None:
        outputs.append(output)
    return outputs


def test_an_answer_tells_the_round_trip_unless_it_may_be_to_an_earlier_request() -> None:
    discovery = asking(SERVERS[:2])
    first, second = transmits(discovery)
    answer(discovery, first, OUTSIDE, 0.05)
    discovery.handle_timeout(0.5)
    answer(discovery, second, OUTSIDE, 0.55)
    assert [(seen.seen_at, seen.rtt_s) for seen in discovery.observations] == [(0.05, 0.05), (0.55, None)]


def test_on_demand_even_a_young_answer_is_asked_for_again() -> None:
    discovery = asking(SERVERS[:1])
    answer(discovery, transmits(discovery)[0], OUTSIDE, 0.05)
    drained(discovery)
    discovery.ask(1.0)
    assert len(drained(discovery)) == 1
    assert discovery.expects(SERVERS[0])
