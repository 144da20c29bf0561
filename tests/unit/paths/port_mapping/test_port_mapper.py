from __future__ import annotations

import itertools
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sim.chance import SeededEntropy
from tests.unit.paths.port_mapping.world import ALL, GATEWAY, OUTSIDE, PORT, SERVER, Router, World

from shadowmesh.paths.port_mapping import nat_pmp, pcp
from shadowmesh.paths.port_mapping.port_mapper import (
    FIRST_PAUSE_S,
    LIFETIME_S,
    MAX_LIFETIME_S,
    MAX_LOSS_DELAY_S,
    MAX_PAUSE_S,
    RELEASE_WITHIN_S,
    MappingDrop,
    PortMapper,
)
from shadowmesh.paths.port_mapping.status import Gateway, MappingProtocol, MappingState
from shadowmesh.paths.port_mapping.upnp import UpnpAdd, UpnpAdded, UpnpDelete
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.transmit import Transmit

PCP, NAT_PMP, UPNP = ALL
EXTERNAL = Endpoint(OUTSIDE, PORT)
each_protocol = pytest.mark.parametrize("protocol", ALL)


@each_protocol
def test_the_port_is_mapped_by_what_the_router_speaks(protocol: MappingProtocol) -> None:
    world = World(Router(speaks=(protocol,))).start()
    world.run_until(10.0)
    status = world.mapper.status
    assert (status.state, status.protocol, status.external) == (MappingState.MAPPED, protocol, EXTERNAL)
    assert status.expires_at is not None
    assert LIFETIME_S <= status.expires_at <= LIFETIME_S + 10.0
    assert world.changes == [status]


def test_pcp_is_taken_before_nat_pmp_and_that_before_upnp() -> None:
    assert World(Router(speaks=ALL)).start().mapper.status.protocol is PCP
    assert World(Router(speaks=(NAT_PMP, UPNP))).start().mapper.status.protocol is NAT_PMP


def test_only_the_protocols_that_are_allowed_are_asked() -> None:
    assert World(protocols=(NAT_PMP,)).start().mapper.status.protocol is NAT_PMP
    with pytest.raises(ValueError, match="no protocol"):
        World(protocols=())


def test_an_ipv6_gateway_is_asked_by_pcp_alone() -> None:
    gateway = Gateway(IPv6Address("fe80::1"), IPv6Address("2001:db8::7"))
    mapper = PortMapper(gateway, PORT, entropy=SeededEntropy(1))
    mapper.start(0.0)
    now, sent = 0.0, 0
    while mapper.status.state is MappingState.SEARCHING:
        while (output := mapper.poll()) is not None:
            assert isinstance(output, Transmit)
            assert pcp.MapRequest.decode(output.payload).client == gateway.local
            sent += 1
        now = mapper.next_timeout() or now
        mapper.handle_timeout(now)
    assert (now, sent) == (2.0, 2)
    assert mapper.status.reason == "PCP: no answer"


def test_a_router_that_is_not_there_costs_six_questions_in_a_round() -> None:
    world = World()
    world.link_is_up = False
    world.start()
    world.run_until(30.0)
    assert [round(at, 2) for at, _ in world.sent] == [0.0, 1.0, 2.0, 2.25, 2.75, 3.75]
    assert isinstance(world.sent[-1][1], UpnpAdd)
    assert world.states == [MappingState.FAILED]
    assert world.changes[0].reason == "PCP: no answer; NAT-PMP: no answer; UPnP IGD: no answer"


def test_rounds_that_fail_come_ever_more_rarely() -> None:
    world = World(Router(speaks=()), protocols=(PCP,)).start()
    world.run_until(4 * 3600.0)
    began = [at for index, (at, _) in enumerate(world.sent) if index % 2 == 0]
    pauses = [later - earlier - 2.0 for earlier, later in itertools.pairwise(began)]
    assert 0.9 * FIRST_PAUSE_S <= pauses[0] <= 1.1 * FIRST_PAUSE_S
    assert all(0.9 * MAX_PAUSE_S <= pause <= 1.1 * MAX_PAUSE_S for pause in pauses[4:])
    assert world.states == [MappingState.FAILED]  # and is told once


def test_a_router_that_comes_up_later_is_found() -> None:
    world = World(Router(speaks=())).start()
    world.run_until(30.0)
    world.router.speaks = ALL
    world.run_until(100.0)
    assert world.states == [MappingState.FAILED, MappingState.MAPPED]
    assert world.mapper.status.reason == ""


def test_a_closed_port_leads_to_upnp_at_once() -> None:
    world = World(Router(speaks=(UPNP,))).start()
    world.mapper.gateway_unreachable(world.now)
    world.drain()
    assert world.mapper.status.protocol is UPNP


def test_a_closed_port_that_is_told_late_changes_nothing() -> None:
    world = World(protocols=(PCP, UPNP))
    world.link_is_up = False
    world.start()
    world.run_until(2.0)
    asked = len(world.sent)
    assert isinstance(world.sent[-1][1], UpnpAdd)
    world.mapper.gateway_unreachable(world.now)
    world.drain()
    assert len(world.sent) == asked
    assert world.changes == []


def test_after_a_mapping_the_pauses_begin_anew() -> None:
    world = World(Router(speaks=()), protocols=(PCP,)).start()
    world.run_until(2 * 3600.0)
    world.router.speaks = (PCP,)
    world.run_until(3 * 3600.0)
    assert world.mapper.status.state is MappingState.MAPPED
    world.router.refuses = True
    world.mapper.check(world.now)
    world.drain()
    due_at = world.mapper.next_timeout()
    assert due_at is not None
    assert due_at - world.now <= 1.1 * FIRST_PAUSE_S


def test_a_closed_port_is_told_when_upnp_is_missing_too() -> None:
    world = World(Router(speaks=())).start()
    world.mapper.gateway_unreachable(world.now)
    world.drain()
    assert world.changes[-1].reason == "PCP and NAT-PMP: the router's port 5351 is closed; UPnP IGD: no device"


def test_what_a_router_refuses_is_asked_by_the_next_protocol() -> None:
    world = World(Router(speaks=(PCP,), refuses=True)).start()
    world.run_until(10.0)
    assert world.mapper.status.reason == "PCP: NO_RESOURCES; NAT-PMP: no answer; UPnP IGD: no device"


@each_protocol
def test_it_is_renewed_after_half_of_its_lifetime(protocol: MappingProtocol) -> None:
    world = World(Router(speaks=(protocol,)), protocols=(protocol,)).start()
    asked = len(world.sent)
    world.run_until(LIFETIME_S)
    renewed_at, _ = world.sent[asked]
    assert LIFETIME_S / 2 <= renewed_at <= LIFETIME_S * 5 / 8
    assert world.mapper.status.expires_at == renewed_at + LIFETIME_S
    assert len(world.changes) == 1


def test_a_renewal_that_is_lost_is_repeated_before_the_end() -> None:
    world = World().start()
    world.link_is_up = False
    world.run_until(LIFETIME_S * 0.7)
    assert len(world.sent) == 2
    world.link_is_up = True
    world.run_until(LIFETIME_S * 0.9)
    assert world.states == [MappingState.MAPPED]
    expires_at = world.mapper.status.expires_at
    assert expires_at is not None
    assert expires_at > LIFETIME_S * 1.7


def test_a_mapping_that_nobody_renews_is_lost_at_its_end() -> None:
    world = World().start()
    world.link_is_up = False
    world.run_until(LIFETIME_S + 30.0)
    assert world.states == [MappingState.MAPPED, MappingState.FAILED, MappingState.FAILED]
    assert world.changes[1].reason == "PCP: the router stopped answering"
    assert len(world.sent) == 1 + 9 + 6  # asked, renewed down to 4 s before the end, and a round that fails


def test_a_machine_that_slept_asks_anew() -> None:
    world = World().start()
    world.now = 10 * LIFETIME_S
    world.mapper.handle_timeout(world.now)
    world.drain()
    assert world.states == [MappingState.MAPPED, MappingState.FAILED, MappingState.MAPPED]


def test_a_refused_renewal_is_a_loss() -> None:
    world = World(Router(speaks=(PCP, UPNP))).start()
    world.router.refuses = True
    world.run_until(LIFETIME_S)
    assert world.mapper.status.protocol is UPNP


def test_another_port_is_kept_over_renewals() -> None:
    world = World(Router(port_offset=100)).start()
    assert world.mapper.status.external == Endpoint(OUTSIDE, PORT + 100)
    world.run_until(3 * LIFETIME_S)
    assert len(world.changes) == 1
    renewal = world.sent[-1][1]
    assert isinstance(renewal, Transmit)
    assert pcp.MapRequest.decode(renewal.payload).external_port == PORT + 100


def test_a_new_outside_address_is_told() -> None:
    world = World().start()
    world.router.outside = IPv4Address("11.18.0.2")
    world.run_until(LIFETIME_S)
    assert [str(change.external) for change in world.changes] == ["11.18.0.1:41641", "11.18.0.2:41641"]


@pytest.mark.parametrize("lifetime_s", [1, 29])
def test_a_lifetime_that_is_too_short_is_refused(lifetime_s: int) -> None:
    world = World(Router(max_lifetime_s=lifetime_s, speaks=(PCP,))).start()
    world.run_until(10.0)
    assert world.mapper.status.reason.startswith(f"PCP: the router grants {lifetime_s} s only")


def test_a_lifetime_of_more_than_a_day_counts_as_a_day() -> None:
    mapper = PortMapper(GATEWAY, PORT, entropy=SeededEntropy(1), lifetime_s=10 * MAX_LIFETIME_S)
    mapper.start(0.0)
    request = mapper.poll()
    assert isinstance(request, Transmit)
    answer = Router(max_lifetime_s=10 * MAX_LIFETIME_S).answer(request.payload, 0.0)
    assert answer is not None
    mapper.receive_datagram(answer, SERVER, 0.0)
    assert mapper.status.expires_at == MAX_LIFETIME_S


@pytest.mark.parametrize("protocol", [PCP, NAT_PMP])
def test_an_announced_reboot_maps_again_within_seconds(protocol: MappingProtocol) -> None:
    world = World(Router(speaks=(protocol,)), protocols=(protocol,)).start()
    world.run_until(1000.0)
    world.router.reboot(world.now)
    announce(world, protocol)
    assert world.changes[-1].reason == "the router says that it lost the mapping"
    world.run_until(1000.0 + MAX_LOSS_DELAY_S)
    assert world.states == [MappingState.MAPPED, MappingState.FAILED, MappingState.MAPPED]
    assert PORT in world.router.mapped


@pytest.mark.parametrize("protocol", [PCP, NAT_PMP])
def test_an_announcement_of_a_router_that_kept_the_mapping_changes_nothing(protocol: MappingProtocol) -> None:
    world = World(Router(speaks=(protocol,)), protocols=(protocol,)).start()
    world.run_until(1000.0)
    asked = len(world.sent)
    announce(world, protocol)
    world.run_until(1010.0)
    assert len(world.sent) == asked


def test_an_announcement_of_another_host_or_of_no_form_changes_nothing() -> None:
    world = World().start()
    world.run_until(1000.0)
    announcement = pcp.AnnounceResponse(0).encode()
    world.mapper.receive_announcement(announcement, Endpoint.of("192.168.7.66", 5351), world.now)
    world.mapper.receive_announcement(announcement, Endpoint(GATEWAY.address, 5350), world.now)
    world.mapper.receive_announcement(b"\2", SERVER, world.now)
    world.drain()
    assert world.states == [MappingState.MAPPED]
    assert world.mapper.drops == {MappingDrop.STRANGER.value: 2}


@pytest.mark.parametrize(
    ("outside", "reflexive", "what"),
    [("100.64.1.1", [], "RFC 6598"), ("192.168.1.7", [], "RFC 1918"), ("11.18.0.1", ["11.19.0.1"], "11.19.0.1")],
)
def test_a_nat_behind_the_router_is_told_with_the_reason(outside: str, reflexive: list[str], what: str) -> None:
    world = World(Router(outside=IPv4Address(outside)))
    world.mapper.set_reflexive([IPv4Address(address) for address in reflexive])
    world.start()
    status = world.changes[-1]
    assert status.state is MappingState.DOUBLE_NAT
    assert what in status.reason
    assert status.external == Endpoint.of(outside, PORT)
    assert status.usable is None


def test_a_firewall_that_is_opened_is_no_nat() -> None:
    gateway = Gateway(IPv6Address("fe80::1"), IPv6Address("2001:db8::7"))
    mapper = PortMapper(gateway, PORT, entropy=SeededEntropy(1))
    mapper.set_reflexive([IPv6Address("2001:db8::1234")])  # our temporary address, by another way
    mapper.start(0.0)
    sent = mapper.poll()
    assert isinstance(sent, Transmit)
    nonce = pcp.MapRequest.decode(sent.payload).nonce
    answer = pcp.MapResponse(nonce, PORT, PORT, gateway.local, LIFETIME_S, 0)
    mapper.receive_datagram(answer.encode(), Endpoint(gateway.address, 5351), 0.0)
    assert mapper.status.usable == Endpoint(gateway.local, PORT)


def test_a_reflexive_address_that_is_learnt_later_changes_the_judgement() -> None:
    world = World().start()
    world.mapper.set_reflexive([IPv4Address("11.19.0.1")])
    world.drain()
    world.mapper.set_reflexive([OUTSIDE])
    world.drain()
    assert world.states == [MappingState.MAPPED, MappingState.DOUBLE_NAT, MappingState.MAPPED]


@each_protocol
def test_a_stop_gives_the_mapping_back(protocol: MappingProtocol) -> None:
    world = World(protocols=(protocol,)).start()
    assert list(world.router.mapped) == [PORT]
    world.stop()
    assert world.router.mapped == {}
    assert world.mapper.is_over
    assert world.mapper.next_timeout() is None
    assert world.states == [MappingState.MAPPED, MappingState.RELEASED]


@each_protocol
def test_a_stop_does_not_wait_for_a_router_that_is_gone(protocol: MappingProtocol) -> None:
    world = World(protocols=(protocol,)).start()
    world.link_is_up = False
    asked = len(world.sent)
    world.stop()
    assert not world.mapper.is_over
    world.run_until(RELEASE_WITHIN_S)
    assert world.mapper.is_over
    assert len(world.sent) - asked == (1 if protocol is UPNP else 3)
    world.stop()
    assert world.states[-1] is MappingState.RELEASED


def test_a_stop_while_the_answer_is_on_its_way_gives_back_too() -> None:
    world = World()
    world.link_is_up = False
    world.start()
    world.link_is_up = True
    world.stop()
    request = world.sent[-1][1]
    assert isinstance(request, Transmit)
    assert pcp.MapRequest.decode(request.payload).lifetime_s == 0
    assert world.mapper.is_over


def test_a_late_grant_does_not_end_the_release() -> None:
    world = World().start()
    world.link_is_up = False
    world.stop()
    asked = world.sent[0][1]
    assert isinstance(asked, Transmit)
    answer = world.router.answer(asked.payload, 0.0)
    assert answer is not None
    world.mapper.receive_datagram(answer, SERVER, 0.1)
    assert not world.mapper.is_over


def test_somebody_elses_upnp_mapping_is_not_deleted() -> None:
    world = World(protocols=(UPNP,))
    world.link_is_up = False
    world.start()
    world.stop()
    assert world.mapper.is_over
    assert not any(isinstance(output, UpnpDelete) for _, output in world.sent)


@pytest.mark.parametrize("is_mapped", [True, False])
def test_a_check_asks_the_router_at_once(is_mapped: bool) -> None:
    world = World(Router(speaks=ALL if is_mapped else ())).start()
    world.run_until(20.0)
    asked = len(world.sent)
    for _ in range(3):
        world.mapper.check(world.now)
        world.drain()
    assert [type(output) for _, output in world.sent[asked:]] == [Transmit]
    if is_mapped:
        assert world.mapper.status.expires_at == 20.0 + LIFETIME_S


def test_answers_that_nobody_asked_for_are_dropped_and_counted() -> None:
    world = World()
    world.mapper.receive_datagram(b"", SERVER, 0.0)
    world.start()
    mapped = world.mapper.status
    world.mapper.receive_datagram(b"\2", SERVER, 0.0)
    world.mapper.receive_datagram(b"\2", Endpoint.of("192.168.7.1", 5350), 0.0)
    forged = pcp.MapResponse(bytes(12), PORT, 1, IPv4Address("11.66.6.6"), 3600, 0)
    world.mapper.receive_datagram(forged.encode(), SERVER, 0.0)
    late = UpnpAdded(UpnpAdd(1, Endpoint(GATEWAY.local, PORT), PORT, LIFETIME_S), EXTERNAL)
    world.mapper.upnp_answered(late, 0.0)
    world.drain()
    assert world.mapper.status == mapped
    assert world.mapper.drops == {
        MappingDrop.UNASKED.value: 3,
        MappingDrop.MALFORMED.value: 1,
        MappingDrop.STRANGER.value: 1,
    }


def test_a_upnp_renewal_that_fails_is_repeated() -> None:
    world = World(Router(speaks=(UPNP,)), protocols=(UPNP,)).start()
    world.router.speaks = ()
    world.run_until(LIFETIME_S * 0.7)
    world.router.speaks = (UPNP,)
    world.run_until(LIFETIME_S * 0.9)
    assert world.states == [MappingState.MAPPED]
    assert [isinstance(output, UpnpAdd) for _, output in world.sent] == [True] * 3


COMMANDS: dict[str, Callable[[World], None]] = {
    "reboot": lambda world: world.router.reboot(world.now),
    "announce": lambda world: announce(world, PCP),
    "check": lambda world: world.mapper.check(world.now),
    "unreachable": lambda world: world.mapper.gateway_unreachable(world.now),
    "stop": lambda world: world.mapper.stop(world.now),
}
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0.0, 5000.0)),
        st.tuples(st.just("link"), st.booleans()),
        st.tuples(st.just("speaks"), st.sets(st.sampled_from(ALL))),
        st.tuples(st.just("refuses"), st.booleans()),
        st.tuples(st.sampled_from(list(COMMANDS)), st.none()),
        st.tuples(st.just("bytes"), st.binary(max_size=64)),
    ),
    max_size=30,
)


@given(STEPS, st.integers(0, 1000))
def test_whatever_happens_a_mapping_that_is_told_is_the_routers_or_was_lost_unnoticed(
    steps: list[tuple[str, object]], seed: int
) -> None:
    world = World(seed=seed).start()
    for step in steps:
        take(world, *step)
        world.drain()
        due_at = world.mapper.next_timeout()
        assert due_at is None or due_at >= world.now
        expires_at = world.mapper.status.expires_at
        assert expires_at is None or expires_at > world.now
        told = None if not world.changes else world.changes[-1]
        assert told is None or (told.state, told.external) == (world.mapper.status.state, world.mapper.status.external)
    world.link_is_up, world.router.speaks, world.router.refuses = True, ALL, False
    if any(step[0] == "stop" for step in steps):
        world.run_until(world.now + RELEASE_WITHIN_S)
        assert world.mapper.is_over
    else:  # a reboot that was not announced shows at the next renewal
        world.run_until(world.now + max(LIFETIME_S, 1.1 * MAX_PAUSE_S + 30.0))
        assert world.mapper.status.state is MappingState.MAPPED
        external = world.mapper.status.external
        assert external is not None
        assert external.port in world.router.mapped


def take(world: World, step: str, argument: object) -> None:
    match step, argument:
        case "wait", float(duration_s):
            world.run_until(world.now + duration_s)
        case "link", bool(is_up):
            world.link_is_up = is_up
        case "speaks", set(protocols):
            world.router.speaks = tuple(protocol for protocol in ALL if protocol in protocols)
        case "refuses", bool(refuses):
            world.router.refuses = refuses
        case "bytes", bytes(data):
            world.mapper.receive_datagram(data, SERVER, world.now)
            world.mapper.receive_announcement(data, SERVER, world.now)
        case _:
            COMMANDS[step](world)


def announce(world: World, protocol: MappingProtocol) -> None:
    epoch_s = world.router.epoch_s(world.now)
    announcement: pcp.AnnounceResponse | nat_pmp.AddressResponse = pcp.AnnounceResponse(epoch_s)
    if protocol is NAT_PMP:
        announcement = nat_pmp.AddressResponse(epoch_s, world.router.outside)
    world.mapper.receive_announcement(announcement.encode(), SERVER, world.now)
    world.drain()
