"""The network changes under an open tunnel: packets flow again soon, in virtual seconds."""

from __future__ import annotations

import pytest
from tests.sim.host import Host
from tests.sim.nat.behaviour import CARRIER, LINUX, SYMMETRIC, Nat
from tests.sim.nat.ports import Uniform
from tests.sim.world import World

from shadowmesh.mesh.outputs import PeerConnected, PeerDisconnected
from shadowmesh.node.traffic import REPORT_INTERVAL_S

NOTICED_S = 1.0  # what the node sees itself
UNNOTICED_S = 3.0
BY_TRYING_S = 15.0  # ports are tried for 9 s, and once more
PACKET_INTERVAL_S = 0.05
STRICT = Nat(ports=Uniform())  # another outside port after each rebinding
NATS = {"none": None, "linux": LINUX, "strict": STRICT, "carrier": CARRIER}


@pytest.mark.parametrize("far", NATS)
@pytest.mark.parametrize("near", NATS)
def test_a_host_that_moves_from_wifi_to_lte_is_there_within_a_second(near: str, far: str) -> None:
    world, alice, bob = connected(NATS[near], NATS[far])
    traffic = Traffic(world, alice, bob)
    world.run_for(5)
    world.move(alice, world.site(CARRIER))
    assert traffic.recovery_s() <= NOTICED_S
    keeps_its_session(alice, bob)


@pytest.mark.parametrize("far", NATS)
def test_a_host_that_moves_behind_a_symmetric_nat_is_found_by_trying_ports(far: str) -> None:
    world, alice, bob = connected(LINUX, NATS[far])
    traffic = Traffic(world, alice, bob)
    world.run_for(5)
    world.move(alice, world.site(SYMMETRIC))
    assert traffic.recovery_s() <= BY_TRYING_S


@pytest.mark.parametrize("far", ["linux", "strict"])
@pytest.mark.parametrize("near", NATS)
def test_a_host_that_leaves_a_symmetric_nat_is_there_within_a_second(near: str, far: str) -> None:
    """The peer lets in what comes from where the new router shows the main port: not from the port of the old path."""
    world, alice, bob = connected(SYMMETRIC, NATS[far])
    traffic = Traffic(world, alice, bob)
    world.run_for(5)
    world.move(alice, world.site(NATS[near]))
    assert traffic.recovery_s() <= NOTICED_S
    keeps_its_session(alice, bob)


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("whose", ["sender", "receiver", "both"])
@pytest.mark.parametrize("far", NATS)
def test_a_rebound_nat_stops_a_flow_for_three_seconds_at_most(far: str, whose: str, answered: bool) -> None:
    world, alice, bob = connected(STRICT, NATS[far])
    traffic = Traffic(world, alice, bob, answered=answered)
    world.run_for(5)
    if whose in ("sender", "both"):
        alice.site.rebind()
    if whose in ("receiver", "both"):
        bob.site.rebind()
    assert traffic.recovery_s() <= UNNOTICED_S
    keeps_its_session(alice, bob)


@pytest.mark.parametrize("far", ["linux", "strict"])
def test_a_rebound_symmetric_nat_shows_the_peer_another_of_our_ports_and_packets_follow(far: str) -> None:
    """Nothing passes meanwhile: packets that are not answered would bring a new handshake, and a new path with it."""
    world, alice, bob = connected(SYMMETRIC, NATS[far])
    for _ in range(3):
        alice.site.rebind()
        world.run_for(60)
        assert world.data_flows(alice, bob, limit_s=0.5)
    keeps_its_session(alice, bob)


@pytest.mark.parametrize("far", ["linux", "strict", "carrier"])
def test_a_peer_whose_nat_forgot_unnoticed_tells_its_new_address_soon_after_it_is_called(far: str) -> None:
    """Nothing passes, so that it learns only by the call that its path may be gone as well."""
    world, alice, bob = connected(STRICT, NATS[far])
    world.run_for(30)
    alice.site.rebind()
    bob.site.rebind()
    assert world.data_flows(alice, bob, limit_s=UNNOTICED_S)
    keeps_its_session(alice, bob)


def test_who_only_receives_asks_when_its_mapping_has_gone() -> None:
    """The sender hears nothing either way: only the receiver can open its own NAT again."""
    world, alice, bob = connected(None, STRICT)
    traffic = Traffic(world, alice, bob, answered=False)
    world.run_for(5)
    world.backbone.kill()
    bob.site.rebind()
    assert traffic.recovery_s() <= UNNOTICED_S


@pytest.mark.parametrize("down_s", [0.3, 2.0, 5.0, 8.0])
@pytest.mark.parametrize("far", NATS)
def test_after_an_uplink_was_down_packets_flow_within_three_seconds_and_the_session_is_the_same(
    far: str, down_s: float
) -> None:
    world, alice, bob = connected(STRICT, NATS[far])
    traffic = Traffic(world, alice, bob)
    world.run_for(5)
    alice.site.link.up = False
    world.run_for(down_s)
    alice.site.link.up = True
    assert traffic.recovery_s() <= UNNOTICED_S
    keeps_its_session(alice, bob)


@pytest.mark.parametrize("down_s", [5.0, 60.0])
def test_a_host_whose_own_link_comes_back_is_there_within_a_second(down_s: float) -> None:
    world, alice, bob = connected(LINUX, STRICT)
    traffic = Traffic(world, alice, bob)
    world.run_for(5)
    alice.unplug()
    world.run_for(down_s)
    alice.plug()
    assert traffic.recovery_s() <= NOTICED_S


def test_another_way_out_with_the_same_addresses_is_found_within_a_second() -> None:
    world, alice, bob = connected(STRICT, STRICT)
    traffic = Traffic(world, alice, bob)
    world.run_for(5)
    alice.site.rebind()
    alice.feed(lambda mesh, now: mesh.network_changed(now))
    assert traffic.recovery_s() <= NOTICED_S
    keeps_its_session(alice, bob)


@pytest.mark.parametrize("slept_s", [6.0, 20.0, 60.0, 600.0, 12 * 3600.0])
@pytest.mark.parametrize("far", NATS)
def test_a_host_that_slept_is_back_three_seconds_after_it_wakes(far: str, slept_s: float) -> None:
    world, alice, bob = connected(STRICT, NATS[far])
    traffic = Traffic(world, alice, bob)
    world.run_for(5)
    alice.sleep()
    world.run_for(slept_s)
    alice.wake(slept_s)
    assert traffic.recovery_s() <= UNNOTICED_S


def test_addresses_that_are_learnt_later_are_told_to_those_that_are_connected() -> None:
    world, alice, bob = connected(LINUX, LINUX)
    world.move(bob, alice.site)
    world.run_for(20)
    assert alice.status(bob).path == bob.endpoint
    assert bob.status(alice).path == alice.endpoint


@pytest.mark.parametrize("seed", range(10))
def test_a_commuter_keeps_the_session_all_day(seed: int) -> None:
    world, alice, bob = connected(LINUX, STRICT, seed=seed)
    traffic = Traffic(world, alice, bob)
    world.network.weather.loss = 0.02
    for step in range(20):
        world.run_for(15 + seed)
        world.move(alice, world.site((LINUX, STRICT, CARRIER)[step % 3]))
        assert traffic.recovery_s() <= UNNOTICED_S
    keeps_its_session(alice, bob)


class Traffic:
    """A packet each 50 ms from the first host to the second, through the network and its boxes."""

    def __init__(self, world: World, sender: Host, receiver: Host, *, answered: bool = True) -> None:
        self._world = world
        self._sender = sender
        self._receiver = receiver
        self._key = receiver.wireguard_key
        self._answered = answered
        self._is_paused = False
        self._send()
        for host in (sender, receiver):
            self._report(host)

    def recovery_s(self, limit_s: float = 60.0) -> float:
        """How long from now until packets come through in a row: both ways if they are answered."""
        if self._is_paused:
            self._send()
        began = self._world.now
        last = steady_since = 0.0
        before = self._arrived()
        while self._world.now < began + limit_s:
            self._world.run_for(PACKET_INTERVAL_S)
            now_arrived = self._arrived()
            if now_arrived > before:
                arrival = self._world.now - began
                if arrival - last > 4 * PACKET_INTERVAL_S:
                    steady_since = arrival
                last = arrival
            before = now_arrived
            if last >= steady_since + 5.0:
                return steady_since
        raise AssertionError(self._world._explain(f"no packets in a row within {limit_s} s"))

    def _arrived(self) -> int:
        if self._answered:
            return self._sender.echoes_from(self._receiver)
        assert self._receiver.engine is not None
        return self._receiver.engine.arrived(self._sender.wireguard_key)

    def _send(self) -> None:
        # Nothing is planned meanwhile: a night has a million times 50 ms.
        self._is_paused = self._sender.asleep
        if self._is_paused:
            return
        if self._sender.engine is not None:
            self._sender.engine.send_packet(self._key, answered=self._answered)
        self._world.timeline.after(PACKET_INTERVAL_S, self._send)

    def _report(self, host: Host) -> None:
        host.report_traffic()
        self._world.timeline.after(REPORT_INTERVAL_S, lambda: self._report(host))


def connected(near: Nat | None, far: Nat | None, *, seed: int = 1) -> tuple[World, Host, Host]:
    world = World(seed)
    alice, bob = world.pair(nats=(near, far))
    alice.start()
    bob.start()
    world.run_until(lambda: alice.is_connected(bob) and bob.is_connected(alice), limit_s=10)
    world.run_for(5)
    return world, alice, bob


def keeps_its_session(*hosts: Host) -> None:
    for host in hosts:
        assert sum(isinstance(output, PeerConnected) for output in host.outputs) == 1
        assert not [output for output in host.outputs if isinstance(output, PeerDisconnected)]
