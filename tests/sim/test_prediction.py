"""Behind NATs that count their ports up, while other programs take ports as well."""

from __future__ import annotations

import pytest
from tests.sim.host import PORT
from tests.sim.nat.behaviour import AD, APD, LINUX, SYMMETRIC_SEQUENTIAL, Nat
from tests.sim.nat.ports import Sequential
from tests.sim.site import Site
from tests.sim.world import World

from shadowmesh.wire import stun
from shadowmesh.wire.endpoint import Endpoint

SEQUENTIAL_BY_ADDRESS = Nat(AD, APD, Sequential())
TAKEN = 40  # more than a peer guesses ahead


@pytest.mark.parametrize("far", [LINUX, SYMMETRIC_SEQUENTIAL], ids=["port-restricted", "sequential"])
def test_ports_that_others_have_taken_do_not_spoil_the_prediction(far: Nat) -> None:
    world = World(stun_addresses=2)
    alice, bob = world.host("alice", nat=SYMMETRIC_SEQUENTIAL), world.host("bob", nat=far)
    alice.start()
    bob.start()
    world.run_for(10)
    take_ports(world, alice.site)
    alice.trust(bob)
    bob.trust(alice)
    world.run_until(lambda: alice.is_connected(bob) and bob.is_connected(alice), limit_s=5)
    assert world.data_flows(alice, bob)


@pytest.mark.parametrize("gap_s", [0.01, 0.05, 0.08, 0.1, 0.12, 0.3, 0.5, 1.5])
@pytest.mark.parametrize("signalling_s", [0.03, 0.1, 0.4])
def test_whenever_the_other_one_begins_no_port_is_taken_besides_those_that_are_predicted(
    gap_s: float, signalling_s: float
) -> None:
    """One more on one side, and each sends past all that the other has opened."""
    world = World(stun_addresses=2)
    alice, bob = (world.host(name, nat=SYMMETRIC_SEQUENTIAL) for name in ("alice", "bob"))
    alice.start()
    bob.start()
    world.run_for(10)
    world.backbones[0].delay_s = signalling_s
    alice.trust(bob)
    world.run_for(gap_s)
    bob.trust(alice)
    limit_s = 0.5 + 4 * signalling_s
    world.run_until(lambda: alice.is_connected(bob) and bob.is_connected(alice), limit_s=limit_s)
    assert world.data_flows(alice, bob)


def test_a_mapping_that_an_earlier_attempt_left_behind_does_not_spoil_the_next_one() -> None:
    """What we send from the main port goes through it, far behind where the peer guesses."""
    world = World(stun_addresses=2)
    alice, bob = world.host("alice", nat=SYMMETRIC_SEQUENTIAL), world.host("bob", nat=LINUX)
    alice.start()
    bob.start()
    world.run_for(10)
    (outside,) = bob.machine.link().reflexive
    world.network.send(stun.encode_binding_request(bytes(12)), alice.endpoint, outside, alice.site)
    take_ports(world, alice.site)
    alice.trust(bob)
    bob.trust(alice)
    world.run_until(lambda: alice.is_connected(bob) and bob.is_connected(alice), limit_s=5)
    assert world.data_flows(alice, bob)


@pytest.mark.parametrize(
    "far", [SEQUENTIAL_BY_ADDRESS, SYMMETRIC_SEQUENTIAL], ids=["by address", "by address and port"]
)
def test_between_two_nats_that_count_old_mappings_do_not_spoil_the_next_attempt(far: Nat) -> None:
    """Each side's main port would go on through a mapping that lies before all that the other guesses."""
    world = World(stun_addresses=2)
    alice, bob = world.host("alice", nat=SEQUENTIAL_BY_ADDRESS), world.host("bob", nat=far)
    alice.start()
    bob.start()
    world.run_for(10)
    for one, other in ((alice, bob), (bob, alice)):
        outside = Endpoint(other.machine.link().reflexive[0].address, 1)
        world.network.send(stun.encode_binding_request(bytes(12)), one.endpoint, outside, one.site)
        take_ports(world, one.site)
    alice.trust(bob)
    bob.trust(alice)
    world.run_until(lambda: alice.is_connected(bob) and bob.is_connected(alice), limit_s=8)
    assert world.data_flows(alice, bob)


def take_ports(world: World, site: Site) -> None:
    """As a browser at home does."""
    for number in range(1, TAKEN + 1):
        inside = Endpoint.of("10.99.0.1", PORT + number)
        world.network.send(stun.encode_binding_request(bytes(12)), inside, world.backbone.stun[0], site)
    world.run_for(1)
