"""The NAT model lets plain punching through where real boxes did, and the mesh connects at least those pairs."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

import pytest
from tests.sim.chance import SeededEntropy
from tests.sim.host import Host
from tests.sim.nat import classify
from tests.sim.nat.behaviour import LINUX_OPEN_INPUT, SYMMETRIC, Nat
from tests.sim.nat.box import NatBox, Packet
from tests.sim.nat.lab_results import PUNCHED, SITES
from tests.sim.site import Site, ascend, descend
from tests.sim.world import World

from shadowmesh.wire.endpoint import Endpoint

ROUNDS = 4
NOW = 1000.0


@pytest.mark.parametrize(("pair", "punched"), PUNCHED.items(), ids=str)
def test_plain_punching_through_the_model_ends_as_it_did_in_the_lab(pair: tuple[str, str], punched: bool) -> None:
    internet = Site()
    a, b = (Socket(internet, SITES[kind], number) for number, kind in enumerate(pair, start=1))
    assert punch(a, b) is punched


@pytest.mark.parametrize("pair", [pair for pair, punched in PUNCHED.items() if punched], ids=str)
def test_the_mesh_connects_every_pair_that_plain_punching_joins_and_data_flows(pair: tuple[str, str]) -> None:
    world = World()
    alice, bob = (host_behind(world, name, SITES[kind]) for name, kind in zip(("alice", "bob"), pair, strict=True))
    alice.trust(bob)
    bob.trust(alice)
    alice.start()
    bob.start()
    world.run_until(lambda: alice.is_connected(bob) and bob.is_connected(alice), limit_s=10)
    assert world.data_flows(alice, bob)


def test_a_punch_that_comes_too_early_for_an_open_input_chain_spoils_the_port() -> None:
    internet = Site()
    early, late = Socket(internet, (Nat(),), 1), Socket(internet, (LINUX_OPEN_INPUT,), 2)
    send(early, late.announced)()
    assert not punch(early, late)


def test_one_symmetric_site_is_no_hindrance_where_the_other_side_answers_the_source_that_it_sees() -> None:
    internet = Site()
    symmetric, open_host = Socket(internet, (SYMMETRIC,), 1), Socket(internet, (), 2)
    assert punch(symmetric, open_host)
    assert open_host.target != symmetric.announced


class Socket:
    """One UDP socket behind boxes, which knows where a STUN server sees it, and sends where it was last heard from."""

    def __init__(self, internet: Site, boxes: tuple[Nat, ...], number: int) -> None:
        self.site = internet
        for depth, nat in enumerate(boxes):
            outside = [ip_address(f"198.19.{number}.{depth + 1}")] if nat.translates else []
            self.site = Site(self.site, {4: NatBox(nat, outside, SeededEntropy(number, depth))})
        self.endpoint = Endpoint.of(f"198.18.0.{number}", 41641)
        self.site.attach(self.endpoint, lambda _data, source: self._hear(source))
        self.announced = classify.reflexive(self.site, self.endpoint, classify.SERVERS[0], NOW)
        self.target: Endpoint | None = None
        self.heard = False

    def _hear(self, source: Endpoint) -> None:
        self.target = source
        self.heard = True


def punch(a: Socket, b: Socket) -> bool:
    """Both send at the same moments, first to what was announced."""
    a.target, b.target = b.announced, a.announced
    for _ in range(ROUNDS):
        for arrive in [send(a, a.target), send(b, b.target)]:
            arrive()
    return a.heard and b.heard


def host_behind(world: World, name: str, boxes: tuple[Nat, ...]) -> Host:
    site = None
    for nat in boxes:
        site = world.site(nat, behind=site)
    return world.host(name, site=site)


def send(socket: Socket, destination: Endpoint | None) -> Callable[[], None]:
    """The packet leaves now; what is returned lets it arrive."""
    if destination is None:
        return lambda: None
    up = ascend(socket.site, Packet(socket.endpoint, destination), NOW)

    def arrive() -> None:
        down = None if up is None else descend(up.site, up.packet, NOW)
        receiver = None if down is None else down.site.receiver(down.packet.destination)
        if receiver is not None and down is not None:
            receiver(b"", down.packet.source)

    return arrive
