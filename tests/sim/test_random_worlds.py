"""Whatever happened before: when everything works again, all nodes that trust each other are connected soon."""

from __future__ import annotations

from itertools import combinations

import pytest
from tests.sim.chance import SeededEntropy
from tests.sim.host import Host
from tests.sim.world import World

from shadowmesh.mesh.state import PeerState

NODES = 4
EVENTS = 40
HEALED_WITHIN_S = 400.0  # the backbone link waits up to 300 s after a long outage


@pytest.mark.parametrize("seed", [*range(12), 1009, 2003, 3017])
def test_after_any_troubles_the_mesh_is_whole_again(seed: int) -> None:
    world = World(seed, backbones=2)
    chance = SeededEntropy(seed, "troubles")
    hosts = [world.host(f"node{index}") for index in range(NODES)]
    for host in hosts:
        host.trust(*(other for other in hosts if other is not host))
        host.start()
    for _ in range(EVENTS):
        trouble(world, hosts, chance)
        world.run_for(chance.between(0.0, 1.0) ** 3 * 120)
        no_engine_has_a_stranger(hosts)
    heal(world, hosts)
    world.run_until(lambda: all(world.would_pass(a, b) for a, b in combinations(hosts, 2)), limit_s=HEALED_WITHIN_S)
    world.run_for(200)
    assert all(world.would_pass(a, b) for a, b in combinations(hosts, 2))


def trouble(world: World, hosts: list[Host], chance: SeededEntropy) -> None:
    a, b = sorted(hosts, key=lambda _: chance.fraction())[:2]
    backbone = world.backbones[chance(1)[0] % 2]
    match chance(1)[0] % 10:
        case 0:
            a.kill()
        case 1 | 2:
            a.restart()
        case 3:
            world.network.cut(a.address, b.address)
        case 4:
            world.network.mend(a.address, b.address)
        case 5:
            backbone.kill()
        case 6 | 7:
            backbone.restore()
        case 8:
            weather = world.network.weather
            weather.loss, weather.reordering, weather.duplication = chance.between(0, 0.4), 0.3, 0.2
        case 9 if a.mesh is not None:
            a.move(f"198.18.{100 + chance(1)[0] % 100}.{1 + chance(1)[0] % 250}")


def heal(world: World, hosts: list[Host]) -> None:
    world.network.weather.loss = 0.0
    world.network.mend_all()
    for backbone in world.backbones:
        backbone.restore()
    for host in hosts:
        if host.mesh is None:
            host.start()


def no_engine_has_a_stranger(hosts: list[Host]) -> None:
    """Installed are only peers that the node says it is connected to, each with its own key, or is connecting to."""
    for host in hosts:
        if host.engine is not None:
            statuses = {f"{status.peer.overlay_address}/128": status for status in host.machine.peers()}
            connected = {status.wireguard_key for status in statuses.values() if status.wireguard_key is not None}
            assert connected <= set(host.engine.peers)
            for key in host.engine.peers.keys() - connected:
                (prefix,) = host.engine.peers[key].allowed_ips
                assert statuses[prefix].state is PeerState.CONNECTING
