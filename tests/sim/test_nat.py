"""The model of a NAT does what RFC 4787 says of its behaviour, and shows it from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sim.chance import SeededEntropy
from tests.sim.nat import classify
from tests.sim.nat.behaviour import (
    AD,
    APD,
    EI,
    FIREWALL,
    LINUX,
    LINUX_OPEN_INPUT,
    SYMMETRIC,
    UDP_BLOCKED,
    Dependence,
    Nat,
    Pooling,
)
from tests.sim.nat.box import CLAIM_S, NatBox, Packet
from tests.sim.nat.ports import Blocks, Ports, Preserving, Sequential, Uniform
from tests.sim.nat.random_nat import random_nat
from tests.sim.site import Site

from shadowmesh.wire.endpoint import Endpoint

HOST, NEIGHBOUR = Endpoint.parse("10.0.1.2:41641"), Endpoint.parse("10.0.1.3:41641")
PEER, PEER_OTHER_PORT = Endpoint.parse("192.0.2.1:1111"), Endpoint.parse("192.0.2.1:2222")
STRANGER = Endpoint.parse("192.0.2.9:1111")
NOW = 1000.0
PORT_RULES = (Preserving(), Uniform(), Sequential(), Blocks())


@pytest.mark.parametrize("ports", PORT_RULES, ids=repr)
@pytest.mark.parametrize("filtering", Dependence)
@pytest.mark.parametrize("mapping", Dependence)
def test_a_box_is_seen_as_what_it_was_built_as(mapping: Dependence, filtering: Dependence, ports: Ports) -> None:
    site = site_behind(Nat(mapping, filtering, ports))
    assert classify.mapping(site, HOST, NOW) is mapping
    assert classify.filtering(site, NEIGHBOUR, NOW) is filtering


@given(st.integers(0, 2**32))
def test_any_box_is_seen_as_what_its_behaviour_says(seed: int) -> None:
    nat = random_nat(SeededEntropy(seed))
    site = site_behind(nat, seed)
    assert classify.mapping(site, HOST, NOW) is (None if nat.blocks_udp else nat.mapping)
    assert classify.filtering(site, NEIGHBOUR, NOW) is (None if nat.blocks_udp else nat.filtering)
    if nat.mapping is EI and nat.translates:
        assert classify.hairpins(site, NEIGHBOUR.address, NOW) is (nat.hairpin and not nat.blocks_udp)


@pytest.mark.parametrize("hairpin", [True, False])
@pytest.mark.parametrize("filtering", Dependence)
def test_two_hosts_reach_each_other_by_outside_endpoints_only_if_the_box_hairpins(
    hairpin: bool, filtering: Dependence
) -> None:
    assert classify.hairpins(site_behind(Nat(EI, filtering, hairpin=hairpin)), HOST.address, NOW) is hairpin


def test_a_hairpinned_packet_comes_from_the_outside_endpoint_of_its_sender() -> None:
    box = box_of(Nat(EI, EI, Uniform(), hairpin=True))
    host, neighbour = sent(box, HOST, PEER).source, sent(box, NEIGHBOUR, PEER).source
    assert box.outbound(Packet(HOST, neighbour), NOW) == Packet(host, NEIGHBOUR)


def test_nothing_comes_in_before_something_goes_out() -> None:
    box = box_of(Nat(EI, EI))
    assert box.inbound(Packet(PEER, Endpoint(box.outside[0], HOST.port)), NOW) is None


@pytest.mark.parametrize(
    ("filtering", "heard"),
    [(EI, [PEER, PEER_OTHER_PORT, STRANGER]), (AD, [PEER, PEER_OTHER_PORT]), (APD, [PEER])],
)
def test_who_is_heard_depends_on_whom_the_host_has_sent_to(filtering: Dependence, heard: Sequence[Endpoint]) -> None:
    box = box_of(Nat(EI, filtering))
    outside = sent(box, HOST, PEER).source
    passed = [source for source in (PEER, PEER_OTHER_PORT, STRANGER) if box.inbound(Packet(source, outside), NOW)]
    assert passed == heard


def test_filters_of_mappings_a_destination_look_at_their_own_mapping() -> None:
    box = box_of(SYMMETRIC)
    towards_server = sent(box, HOST, STRANGER).source
    sent(box, HOST, PEER)
    assert box.inbound(Packet(PEER, towards_server), NOW) is None


@given(st.integers(0, 2**32), st.lists(st.tuples(st.integers(2, 9), st.integers(1, 9)), max_size=60))
def test_two_inside_endpoints_never_share_an_outside_one_and_answers_find_their_way(
    seed: int, flows: list[tuple[int, int]]
) -> None:
    nat = replace(random_nat(SeededEntropy(seed)), capacity=1000)
    box = box_of(nat, seed)
    owners: dict[object, Endpoint] = {}
    for host, peer in flows:
        inside, remote = Endpoint.of(f"10.0.1.{host}", 41641), Endpoint.of(f"192.0.2.{peer}", 1111)
        out = box.outbound(Packet(inside, remote), NOW)
        if out is not None:
            flow = (out.source, remote) if nat.per_flow else out.source
            assert owners.setdefault(flow, inside) == inside
            assert out.destination == remote
            assert box.inbound(Packet(remote, out.source), NOW) == Packet(remote, inside)
    assert nat.blocks_udp or not flows or box.refused or owners


@given(st.integers(0, 2**32), st.floats(0.1, 1.9))
def test_a_mapping_lives_as_long_as_its_timeout_after_the_last_packet_out(seed: int, share: float) -> None:
    nat = random_nat(SeededEntropy(seed))
    box = box_of(nat, seed)
    first = box.outbound(Packet(HOST, PEER), NOW)
    later = NOW + share * nat.timeout_s
    alive = first is not None and share < 1
    assert box.entries(later) == int(alive)
    if first is not None:
        assert (box.inbound(Packet(PEER, first.source), later) is not None) is alive


def test_packets_out_keep_a_mapping_and_its_filter_open() -> None:
    box = box_of(Nat(EI, APD, Uniform(), timeout_s=30))
    outside = sent(box, HOST, PEER).source
    for minute in range(1, 10):
        assert sent(box, HOST, PEER, NOW + 29 * minute).source == outside
    assert box.inbound(Packet(PEER, outside), NOW + 29 * 10) is not None


@pytest.mark.parametrize("refreshes", [True, False])
def test_packets_in_keep_a_mapping_only_where_they_refresh_it(refreshes: bool) -> None:
    box = box_of(Nat(EI, APD, timeout_s=30, refreshed_by_inbound=refreshes))
    outside = sent(box, HOST, PEER).source
    assert box.inbound(Packet(PEER, outside), NOW + 20) is not None
    assert (box.inbound(Packet(PEER, outside), NOW + 40) is not None) is refreshes


def test_a_peer_that_was_not_sent_to_for_long_is_filtered_while_the_mapping_lives_on() -> None:
    box = box_of(Nat(EI, APD, timeout_s=30))
    outside = sent(box, HOST, PEER).source
    sent(box, HOST, STRANGER, NOW + 20)
    assert box.inbound(Packet(PEER, outside), NOW + 40) is None
    assert box.inbound(Packet(STRANGER, outside), NOW + 40) is not None


def test_an_expired_mapping_gives_its_port_back() -> None:
    box = box_of(Nat(EI, APD, Uniform(5000, 5000), timeout_s=30))
    assert sent(box, HOST, PEER).source.port == 5000
    assert box.outbound(Packet(NEIGHBOUR, PEER), NOW + 29) is None
    assert sent(box, NEIGHBOUR, PEER, NOW + 30).source.port == 5000


def test_a_port_is_preserved_where_it_is_free() -> None:
    box = box_of(Nat(EI, APD))
    assert sent(box, HOST, PEER).source.port == HOST.port
    assert sent(box, NEIGHBOUR, PEER).source.port != HOST.port


def test_sequential_ports_follow_each_other_around_the_range() -> None:
    box = box_of(Nat(APD, APD, Sequential(step=3, low=1000, high=1008)))
    offsets = [sent(box, HOST, Endpoint.of("192.0.2.1", port)).source.port - 1000 for port in (1, 2, 3)]
    assert [(after - before) % 9 for before, after in pairwise(offsets)] == [3, 3]


def test_each_subscriber_draws_from_a_block_of_its_own() -> None:
    box = box_of(Nat(APD, APD, Blocks(16, low=1024, high=1024 + 4 * 16 - 1)))
    blocks = []
    for host in (HOST, NEIGHBOUR):
        ports = [sent(box, host, Endpoint.of("192.0.2.1", port)).source.port for port in range(1, 17)]
        assert sorted(ports) == list(range(min(ports), min(ports) + 16))
        assert ports != sorted(ports)
        blocks.append(min(ports))
        assert box.outbound(Packet(host, Endpoint.of("192.0.2.1", 17)), NOW) is None
    assert blocks[0] != blocks[1]


def test_a_subscriber_for_whom_no_block_is_left_is_refused() -> None:
    box = box_of(Nat(EI, APD, Blocks(16, low=1024, high=1024 + 15)))
    sent(box, HOST, PEER)
    assert box.outbound(Packet(NEIGHBOUR, PEER), NOW) is None
    assert box.refused == 1


@pytest.mark.parametrize("ports", [Preserving(5000, 5007), Uniform(5000, 5007), Sequential(1, 5000, 5007)], ids=repr)
def test_every_port_is_given_out_and_then_new_flows_are_refused(ports: Uniform) -> None:
    box = box_of(Nat(APD, APD, ports))
    out = [box.outbound(Packet(HOST, Endpoint.of("192.0.2.1", port)), NOW) for port in range(1, 12)]
    assert sorted(packet.source.port for packet in out if packet) == list(range(5000, 5008))
    assert out[8:] == [None, None, None]


@given(st.integers(1, 20), st.integers(0, 40))
def test_a_full_table_refuses_new_flows_and_serves_the_old_ones(capacity: int, flows: int) -> None:
    box = box_of(replace(SYMMETRIC, capacity=capacity))
    remotes = [Endpoint.of("192.0.2.1", port) for port in range(1, flows + 1)]
    passed = [box.outbound(Packet(HOST, remote), NOW) is not None for remote in remotes]
    assert passed == [index < capacity for index in range(flows)]
    assert box.entries(NOW) == min(capacity, flows)
    assert all(box.outbound(Packet(HOST, remote), NOW) for remote in remotes[:capacity])


def test_a_paired_pool_gives_a_host_one_address_and_an_arbitrary_pool_many() -> None:
    counts = {}
    for pooling in Pooling:
        box = box_of(Nat(APD, APD, Uniform(), outside_addresses=4, pooling=pooling))
        sources = [sent(box, HOST, Endpoint.of("192.0.2.1", port)).source for port in range(1, 40)]
        counts[pooling] = len({source.address for source in sources})
    assert counts == {Pooling.PAIRED: 1, Pooling.ARBITRARY: 4}


def test_a_reboot_forgets_every_mapping() -> None:
    box = box_of(Nat(EI, EI, Uniform()))
    before = sent(box, HOST, PEER).source
    box.rebind()
    assert box.entries(NOW) == 0
    assert box.inbound(Packet(PEER, before), NOW) is None
    assert sent(box, HOST, PEER).source != before


def test_a_box_that_blocks_udp_lets_nothing_pass() -> None:
    box = box_of(UDP_BLOCKED)
    assert box.outbound(Packet(HOST, PEER), NOW) is None
    assert box.inbound(Packet(PEER, Endpoint(box.outside[0], HOST.port)), NOW) is None


@pytest.mark.parametrize(
    ("inside", "peer", "stranger"),
    [
        (Endpoint.parse("198.18.0.9:41641"), PEER, STRANGER),
        (Endpoint.parse("[2001:db8::9]:1"), Endpoint.parse("[2001:db8::1]:1"), Endpoint.parse("[2001:db8::2]:1")),
    ],
)
def test_a_firewall_changes_no_endpoint_and_lets_answers_in(
    inside: Endpoint, peer: Endpoint, stranger: Endpoint
) -> None:
    box = box_of(FIREWALL)
    assert box.outbound(Packet(inside, peer), NOW) == Packet(inside, peer)
    assert box.inbound(Packet(peer, inside), NOW) == Packet(peer, inside)
    assert box.inbound(Packet(stranger, inside), NOW) is None


def test_linux_gives_two_hosts_one_port_until_their_destination_is_the_same() -> None:
    box = box_of(LINUX)
    assert sent(box, HOST, PEER).source.port == HOST.port
    assert sent(box, NEIGHBOUR, STRANGER).source.port == HOST.port
    assert sent(box, NEIGHBOUR, PEER).source.port != HOST.port


@pytest.mark.parametrize(("nat", "kept"), [(LINUX, True), (LINUX_OPEN_INPUT, False)])
def test_an_early_packet_of_the_peer_costs_the_port_where_it_leaves_an_entry(nat: Nat, kept: bool) -> None:
    box = box_of(nat)
    box.inbound(Packet(PEER, Endpoint(box.outside[0], HOST.port)), NOW)
    assert (sent(box, HOST, PEER).source.port == HOST.port) is kept
    assert sent(box, HOST, STRANGER).source.port == HOST.port


def test_an_unsolicited_entry_is_forgotten_after_half_a_minute() -> None:
    box = box_of(LINUX_OPEN_INPUT)
    box.inbound(Packet(PEER, Endpoint(box.outside[0], HOST.port)), NOW)
    assert box.entries(NOW + CLAIM_S - 1) == 1
    assert sent(box, HOST, PEER, NOW + CLAIM_S).source.port == HOST.port


@pytest.mark.parametrize(
    ("home", "carrier", "mapping", "filtering"),
    [
        (Nat(EI, APD), SYMMETRIC, APD, APD),
        (Nat(EI, APD), Nat(EI, EI, Uniform()), EI, APD),
        (Nat(EI, EI), Nat(EI, AD, Blocks()), EI, AD),
        (Nat(APD, APD, Uniform()), Nat(EI, EI, Uniform()), APD, APD),
        (Nat(EI, EI), UDP_BLOCKED, None, None),
    ],
)
def test_nested_boxes_are_seen_as_the_stricter_of_the_two(
    home: Nat, carrier: Nat, mapping: Dependence | None, filtering: Dependence | None
) -> None:
    outer = site_behind(carrier)
    box = NatBox(home, [ip_address("100.64.0.2")], SeededEntropy("home"))
    inner = Site(outer, {4: box})
    assert classify.mapping(inner, HOST, NOW) is mapping
    assert classify.filtering(inner, NEIGHBOUR, NOW) is filtering


def test_a_behaviour_that_no_box_can_have_is_refused() -> None:
    for impossible in (
        {"per_flow": True, "mapping": APD},
        {"per_flow": True, "ports": Uniform()},
        {"unsolicited_claims": True},
        {"translates": False, "hairpin": True},
        {"outside_addresses": 0},
        {"capacity": 0},
        {"timeout_s": 0},
    ):
        with pytest.raises(ValueError, match=r"box|keeps|clash"):
            Nat(**impossible)
    with pytest.raises(ValueError, match="outside addresses"):
        NatBox(Nat(), [], SeededEntropy())


def sent(box: NatBox, inside: Endpoint, remote: Endpoint, now: float = NOW) -> Packet:
    packet = box.outbound(Packet(inside, remote), now)
    assert packet is not None
    return packet


def box_of(nat: Nat, seed: int = 1) -> NatBox:
    count = nat.outside_addresses if nat.translates else 0
    return NatBox(nat, [ip_address(f"198.19.16.{number + 1}") for number in range(count)], SeededEntropy(seed, "box"))


def site_behind(nat: Nat, seed: int = 1) -> Site:
    site = Site(Site(), {4: box_of(nat, seed)})
    for inside in (HOST, NEIGHBOUR):
        site.attach(inside, _ignore)
    return site


def _ignore(data: bytes, source: Endpoint) -> None:
    """A host that answers nothing."""
