"""Idle pairs behind NATs that forget sooner or later: the path is there whenever it is needed, for few bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.sim.host import Host
from tests.sim.nat.behaviour import LINUX, Nat
from tests.sim.nat.ports import Uniform
from tests.sim.world import World

from shadowmesh.mesh.outputs import PeerDisconnected

HOUR_S = 3600.0
IPV6_AND_UDP_BYTES = 48
KINDS = {"linux": LINUX, "strict": Nat(ports=Uniform()), "out only": Nat(ports=Uniform(), refreshed_by_inbound=False)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("timeout_s", "at_most"), [(30.0, 100.0), (60.0, 60.0), (120.0, 35.0), (300.0, 35.0)])
def test_an_idle_pair_is_never_lost_and_costs_less_where_the_nats_allow_it(
    kind: str, timeout_s: float, at_most: float
) -> None:
    world = World()
    nat = replace(KINDS[kind], timeout_s=timeout_s)
    alice, bob = world.pair(nats=(nat, nat))
    alice.start()
    bob.start()
    world.run_until(lambda: alice.is_connected(bob) and bob.is_connected(alice), limit_s=10)
    world.run_for(2 * HOUR_S)
    before = world.network.bytes_on_the_wire(IPV6_AND_UDP_BYTES)
    world.run_for(2 * HOUR_S)
    bits_a_second = (world.network.bytes_on_the_wire(IPV6_AND_UDP_BYTES) - before) * 8 / (2 * HOUR_S)
    assert bits_a_second < at_most
    assert world.data_flows(alice, bob, limit_s=1.0)
    assert not lost(alice)
    assert not lost(bob)


def test_one_short_nat_decides_for_the_pair() -> None:
    world = World()
    short, long = (replace(KINDS["strict"], timeout_s=timeout_s) for timeout_s in (30.0, 300.0))
    alice, bob = world.pair(nats=(short, long))
    alice.start()
    bob.start()
    world.run_until(lambda: alice.is_connected(bob) and bob.is_connected(alice), limit_s=10)
    for _ in range(120):
        world.run_for(60)
        assert world.data_flows(alice, bob, limit_s=1.0) or world.now < 1000.0 + 900
    assert not lost(alice)


def lost(host: Host) -> list[PeerDisconnected]:
    return [output for output in host.outputs if isinstance(output, PeerDisconnected)]
