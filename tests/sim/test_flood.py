"""A node under a flood of handshakes that come from nowhere."""

from __future__ import annotations

import pytest
from tests.sim.chance import SeededEntropy
from tests.sim.host import Host
from tests.sim.world import World

from shadowmesh.session import keys
from shadowmesh.session.events import DropReason
from shadowmesh.session.fragments import cut
from shadowmesh.session.kem import DecapsulationKey
from shadowmesh.session.messages import Message1
from shadowmesh.wire.endpoint import Endpoint

RATE = 200  # M1 a second, by one who knows the victim's public key
FLOOD_S = 6


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_a_trusted_peer_connects_while_the_other_is_flooded_from_spoofed_addresses(loss: float) -> None:
    world = World()
    alice, bob = world.pair()
    bob.start()
    world.run_for(2)
    flood(world, bob)
    world.run_for(2)
    world.network.weather.loss = loss
    alice.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=FLOOD_S - 2)
    assert bob.machine.drops[DropReason.COOKIE_ASKED.value] > RATE
    answers = sum(count for (source, _), count in world.network.destinations.items() if source == bob.address)
    assert answers < 2 * RATE * FLOOD_S


def flood(world: World, victim: Host, *, rate: int = RATE, duration_s: float = FLOOD_S) -> None:
    chance = SeededEntropy("flood")
    encapsulation_key = DecapsulationKey(chance(64)).encapsulation_key
    public = victim.identity.public
    for number in range(int(rate * duration_s)):
        cid = chance(8)
        bound = Message1.bound(cid, chance(32), encapsulation_key, keys.SUITE)
        message = bound + keys.mac1(public, bound) + bytes(16)
        source = Endpoint.of(f"203.{number % 250}.{number // 250 % 250}.1", 1 + number)
        for datagram in cut(1, cid, message).datagrams:
            world.timeline.after(
                number / rate,
                lambda datagram=datagram, source=source: world.network.send(datagram, source, victim.endpoint),  # type: ignore[misc]
            )
