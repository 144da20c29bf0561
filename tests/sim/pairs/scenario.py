"""Two hosts somewhere, as a value: what they are behind, and what happens to them. A seed draws one."""

from __future__ import annotations

from dataclasses import dataclass

from tests.sim.chance import SeededEntropy
from tests.sim.host import Host
from tests.sim.nat.behaviour import FIREWALL, Nat
from tests.sim.nat.random_nat import random_nat
from tests.sim.site import Site
from tests.sim.world import World

_LATENCIES_S = (0.005, 0.02, 0.075)  # one way: a city, a country, an ocean


@dataclass(frozen=True, slots=True)
class Access:
    """How one host comes to the internet. `boxes`: outermost first, the one of its own network last."""

    boxes: tuple[Nat, ...] = ()
    ipv6: bool = False
    ipv6_box: Nat | None = FIREWALL
    maps_port: bool = False
    kind: str = "random"  # of network, for people


@dataclass(frozen=True, slots=True)
class Scenario:
    seed: int
    accesses: tuple[Access, Access]
    shared: int = 0  # so many of the first one's boxes are both hosts'
    latency_s: float = 0.02
    starts_cold: bool = True  # both nodes start now; otherwise they have been online for a while

    def build(self) -> tuple[World, Host, Host]:
        """Two hosts that do not yet trust each other and have not started."""
        world = World(self.seed, backbones=2, stun_ipv6=True)
        world.network.weather.latency_s = self.latency_s
        sites: list[list[Site]] = []
        for number, access in enumerate(self.accesses):
            path = sites[0][: self.shared] if number else []
            for nat in access.boxes[len(path) :]:
                is_own = len(path) + 1 == len(access.boxes)
                path.append(
                    world.site(nat, behind=path[-1] if path else None, ipv6=access.ipv6_box if is_own else None)
                )
            sites.append(path)
        alice, bob = (
            _host(world, name, access, path)
            for name, access, path in zip(("alice", "bob"), self.accesses, sites, strict=True)
        )
        return world, alice, bob


def _host(world: World, name: str, access: Access, path: list[Site]) -> Host:
    host = world.host(name, site=path[-1] if path else None, ipv6=access.ipv6)
    host.maps_port = access.maps_port
    return host


def uniform(seed: int) -> Scenario:
    """Any two networks that the model knows: much nastier than the world is."""
    chance = SeededEntropy(seed, "pair")
    alice = _any_access(chance)
    shared, bob = 0, _any_access(chance)
    if alice.boxes and chance.below(8) == 0:
        shared = 1 + chance.below(len(alice.boxes))  # all of them: two hosts of one network
        own = () if shared == len(alice.boxes) else (random_nat(chance),)
        bob = Access((*alice.boxes[:shared], *own), bob.ipv6)
    return Scenario(seed, (alice, bob), shared, chance.choice(_LATENCIES_S), starts_cold=chance.below(2) == 0)


def _any_access(chance: SeededEntropy) -> Access:
    count = (0, 1, 1, 1, 1, 1, 2, 2)[chance.below(8)]
    boxes = tuple(random_nat(chance) for _ in range(count))
    may_map = count == 1 and boxes[0].translates and not boxes[0].blocks_udp
    return Access(boxes, ipv6=chance.below(4) == 0, maps_port=may_map and chance.below(8) == 0)
