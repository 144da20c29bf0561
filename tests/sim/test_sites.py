"""Hosts behind boxes: local networks, IPv6 beside IPv4, carriers, roaming, reboots, broken links, lost signalling."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.sim.chance import SeededEntropy
from tests.sim.host import PORT, Host
from tests.sim.nat.behaviour import APD, EI, LINUX, SYMMETRIC, UDP_BLOCKED, Dependence, Nat
from tests.sim.nat.ports import Uniform
from tests.sim.nat.random_nat import random_nat
from tests.sim.site import Link, Site
from tests.sim.world import World

from shadowmesh.mesh.outputs import PeerDisconnected
from shadowmesh.wire import stun
from shadowmesh.wire.endpoint import Endpoint

EIM = Nat(EI, APD, Uniform())
CARRIER = Nat(EI, APD, Uniform(), hairpin=True)


def test_two_hosts_of_one_site_reach_each_other_by_their_local_addresses() -> None:
    world = World()
    home = world.site(SYMMETRIC)
    alice, bob = connected(world, world.host("alice", site=home), world.host("bob", site=home))
    assert paths(alice, bob) == [bob.endpoint, alice.endpoint]


def test_hosts_of_two_sites_with_the_same_local_addresses_meet_outside() -> None:
    world = World()
    alice, bob = (world.host(name, site=world.site(EIM, lan="192.168.1.0")) for name in ("alice", "bob"))
    assert alice.address == bob.address
    connected(world, alice, bob)
    assert bob.endpoint not in paths(alice, bob)


def test_a_neighbour_with_the_local_address_of_the_peer_is_not_taken_for_it() -> None:
    world = World()
    home = world.site(EIM, lan="192.168.1.0")
    neighbour, alice = world.host("neighbour", site=home), world.host("alice", site=home)
    bob = world.host("bob", site=world.site(EIM, lan="192.168.1.0"))
    neighbour.start()
    assert neighbour.address == bob.address
    connected(world, alice, bob)


def test_two_symmetric_sites_are_joined_by_ipv6_through_their_firewalls() -> None:
    world = World()
    alice, bob = (world.host(name, nat=SYMMETRIC, ipv6=True) for name in ("alice", "bob"))
    connected(world, alice, bob)
    assert paths(alice, bob) == [bob.endpoints[1], alice.endpoints[1]]


@pytest.mark.parametrize("hairpin", [True, False])
def test_two_homes_behind_one_carrier_need_its_hairpin(hairpin: bool) -> None:
    world = World()
    carrier = world.site(replace(CARRIER, hairpin=hairpin))
    alice, bob = (world.host(name, nat=LINUX, site=carrier) for name in ("alice", "bob"))
    start(alice, bob)
    world.run_for(10)
    assert (alice.is_connected(bob) and world.data_flows(alice, bob)) is hairpin


def test_a_host_learns_its_ipv6_endpoint_from_outside_too() -> None:
    world = World(backbones=2, stun_ipv6=True)
    alice = world.host("alice", nat=EIM, ipv6=True)
    alice.start()
    world.run_for(2)
    assert [endpoint.address.version for endpoint in alice.machine.link().reflexive] == [4, 6]


def test_a_mapped_port_lets_a_symmetric_peer_in_that_plain_punching_would_not() -> None:
    world = World(backbones=2)
    alice, bob = world.host("alice", nat=SYMMETRIC), world.host("bob", nat=SYMMETRIC)
    alice.maps_port = True
    connected(world, alice, bob)


@pytest.mark.parametrize("nat", [EIM, SYMMETRIC, Nat(Dependence.ADDRESS_DEPENDENT, EI)], ids=lambda nat: nat.mapping)
def test_the_stun_servers_of_the_world_tell_mappings_apart(nat: Nat) -> None:
    world = World(stun_addresses=2)
    seen = [reflexive(world, world.site(nat), server) for server in world.backbone.stun]
    assert len(world.backbone.stun) == 4
    assert None not in seen
    site = world.site(nat)
    one, other_port, other_address = (reflexive(world, site, world.backbone.stun[index]) for index in (0, 1, 2))
    assert (one == other_port, one == other_address) == {
        EI: (True, True),
        Dependence.ADDRESS_DEPENDENT: (True, False),
        APD: (False, False),
    }[nat.mapping]


def test_a_host_without_udp_still_reaches_the_backbone() -> None:
    world = World()
    alice = world.host("alice", nat=UDP_BLOCKED)
    alice.start()
    world.run_for(5)
    assert alice.machine.link().url == world.backbone.url
    assert reflexive(world, alice.site, world.backbone.stun[0]) is None


def test_a_path_whose_mapping_expired_would_not_carry_data() -> None:
    world = World()
    alice, bob = connected(world, *(world.host(name, nat=EIM) for name in ("alice", "bob")))
    for host in (alice, bob):
        host.site.rebind()
    sent = alice.echoes_from(bob)
    alice.send_data(bob)
    world.run_for(0.5)
    assert alice.echoes_from(bob) == sent


@pytest.mark.parametrize("rebinds", [1, 2])
def test_a_pair_is_found_again_after_its_boxes_restart(rebinds: int) -> None:
    world = World()
    alice, bob = connected(world, *(world.host(name, nat=EIM) for name in ("alice", "bob")))
    for host in (alice, bob)[:rebinds]:
        host.site.rebind()
    world.run_for(90)
    assert alice.is_connected(bob)
    assert world.data_flows(alice, bob)


def test_a_host_that_moves_behind_another_box_keeps_its_session() -> None:
    world = World()
    alice, bob = connected(world, world.host("alice"), world.host("bob", nat=EIM))
    world.move(bob, world.site(LINUX))
    world.run_for(2)
    assert world.data_flows(alice, bob)
    assert not lost(alice)
    assert not lost(bob)


def test_a_host_that_moves_into_the_site_of_its_peer_and_out_again_is_followed() -> None:
    world = World()
    home = world.site(LINUX)
    alice, bob = connected(world, world.host("alice", site=home), world.host("bob", nat=EIM))
    for site in (home, world.site(EIM)):
        world.move(bob, site)
        world.run_for(90)
        assert alice.is_connected(bob)
        assert world.data_flows(alice, bob)


def test_a_host_that_is_unplugged_is_missed_and_found_when_it_is_plugged_again() -> None:
    world = World()
    alice, bob = connected(world, *(world.host(name, nat=EIM) for name in ("alice", "bob")))
    bob.unplug()
    world.run_until(lambda: not alice.is_connected(bob), limit_s=38)
    assert not world.data_flows(alice, bob, limit_s=1)
    world.run_for(20)
    bob.plug()
    world.run_until(lambda: alice.is_connected(bob) and bob.is_connected(alice), limit_s=120)
    assert world.data_flows(alice, bob)


def test_a_site_whose_uplink_fails_for_a_minute_is_back_soon_after() -> None:
    world = World()
    home = world.site(EIM)
    alice, bob = connected(world, world.host("alice", site=home), world.host("bob"))
    home.link.up = False
    world.run_until(lambda: not alice.is_connected(bob) and not bob.is_connected(alice), limit_s=38)
    world.run_for(60)
    home.link.up = True
    world.run_until(lambda: alice.is_connected(bob) and bob.is_connected(alice), limit_s=120)
    assert world.data_flows(alice, bob)


def test_the_latency_of_uplinks_adds_to_that_of_the_internet() -> None:
    world = World()
    far = world.site(EIM, link=Link(latency_s=0.3))
    alice, bob = connected(world, world.host("alice", site=far), world.host("bob", nat=EIM))
    rtt_s = alice.status(bob).rtt_s
    assert rtt_s == pytest.approx(0.64, abs=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_a_pair_behind_boxes_meets_though_every_channel_loses(seed: int) -> None:
    world = World(seed)
    world.backbone.update_loss = 0.3
    weather = world.network.weather
    weather.loss, weather.duplication, weather.reordering = 0.1, 0.1, 0.2
    home = world.site(EIM, link=Link(loss=0.1))
    alice, bob = world.host("alice", site=home), world.host("bob", nat=EIM)
    start(alice, bob)
    world.run_until(lambda: alice.is_connected(bob) and bob.is_connected(alice), limit_s=120)
    assert world.data_flows(alice, bob)


@pytest.mark.parametrize("seed", range(40))
def test_what_a_random_pair_calls_connected_carries_data(seed: int) -> None:
    world = World(seed)
    chance = SeededEntropy(seed, "boxes")
    alice, bob = (world.host(name, nat=random_nat(chance), ipv6=chance.below(4) == 0) for name in ("alice", "bob"))
    start(alice, bob)
    world.run_for(15)
    assert alice.is_connected(bob) == bob.is_connected(alice)
    assert world.data_flows(alice, bob) == alice.is_connected(bob)


def start(alice: Host, bob: Host) -> None:
    alice.trust(bob)
    bob.trust(alice)
    alice.start()
    bob.start()


def connected(world: World, alice: Host, bob: Host) -> tuple[Host, Host]:
    start(alice, bob)
    world.run_until(lambda: alice.is_connected(bob) and bob.is_connected(alice), limit_s=10)
    assert world.data_flows(alice, bob)
    return alice, bob


def paths(alice: Host, bob: Host) -> list[Endpoint]:
    assert alice.engine is not None
    assert bob.engine is not None
    return [alice.engine.paths[bob.engine.public_key], bob.engine.paths[alice.engine.public_key]]


def lost(host: Host) -> list[PeerDisconnected]:
    return [output for output in host.outputs if isinstance(output, PeerDisconnected)]


def reflexive(world: World, site: Site, server: Endpoint) -> Endpoint | None:
    """As a socket of the site learns it by STUN, over the network."""
    answers: list[Endpoint | None] = []
    inside = Endpoint.of("10.99.0.1", PORT)
    site.attach(inside, lambda data, _source: answers.append(stun.decode(data).mapped))
    world.network.send(stun.encode_binding_request(bytes(12)), inside, server, site)
    world.run_for(1)
    site.detach(inside)
    return answers[0] if answers else None
