"""Many nodes that all trust each other."""

from __future__ import annotations

from itertools import combinations

from tests.sim.world import World

NODES = 30


def test_thirty_nodes_make_a_full_mesh() -> None:
    world = World()
    hosts = [world.host(f"node{index}") for index in range(NODES)]
    for host in hosts:
        host.trust(*(other for other in hosts if other is not host))
    for host in hosts:
        host.start()
    world.run_until(lambda: sum(len(host.engine.peers) for host in hosts if host.engine) == NODES * (NODES - 1), 60)
    world.run_for(60)
    assert all(world.would_pass(a, b) for a, b in combinations(hosts, 2))
