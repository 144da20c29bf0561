"""Two nodes of one LAN find each other with no internet and no backbone."""

from __future__ import annotations

from tests.sim.chance import SeededEntropy
from tests.sim.host import Host
from tests.sim.nat.behaviour import Nat
from tests.sim.network import GROUP
from tests.sim.site import Link, Site
from tests.sim.world import World

from shadowmesh.mesh.outputs import SaveRecord
from shadowmesh.mesh.state import TrustedPeer
from shadowmesh.paths.lan.announcement import Announcement
from shadowmesh.paths.lan.discovery import MIN_BURST_INTERVAL_S, Announce
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.transmit import Transmit


def test_two_that_trust_each_other_and_never_met_connect() -> None:
    world, alice, bob = two_in_a_lan()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=5)
    assert world.data_flows(alice, bob)
    assert any(isinstance(each, SaveRecord) for each in alice.outputs)


def test_a_lan_without_uplink_is_as_good_when_the_backbone_is_only_unreachable() -> None:
    world = World(backbones=1)
    site = world.site(Nat(), link=Link(up=False))
    alice, bob = world.host("alice", site=site), world.host("bob", site=site)
    trust(alice, bob)
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=10)


def test_who_comes_later_is_found_at_once() -> None:
    world, alice, bob = two_in_a_lan()
    alice.start()
    world.run_for(300)
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=5)


def test_trust_that_comes_later_is_enough() -> None:
    world, alice, bob = two_in_a_lan(trusting=False)
    alice.start()
    bob.start()
    world.run_for(30)
    alice.trust(bob)
    world.run_for(2)
    bob.trust(alice)
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=10)


def test_a_first_message_leaves_before_an_announcement() -> None:
    """Who is in the LAN gets both at once, and looks first at what comes first."""
    world, alice, bob = two_in_a_lan()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=5)
    alice.feed(lambda mesh, now: mesh.untrust(bob.identity.fingerprint, now))
    world.run_for(MIN_BURST_INTERVAL_S)
    alice.machine.trust(TrustedPeer(bob.identity.fingerprint, "bob"), world.now)
    outputs = list(iter(alice.machine.poll, None))
    sent = [type(each) for each in outputs if isinstance(each, Transmit | Announce)]
    assert sent[0] is Transmit
    assert Announce in sent


def test_one_sided_trust_connects_nobody_and_tells_nobody() -> None:
    world, alice, bob = two_in_a_lan(trusting=False)
    alice.trust(bob)
    alice.start()
    bob.start()
    world.run_for(120)
    assert not alice.is_connected(bob)
    assert bob.machine.peers() == []
    assert announcements(bob) == []


def test_when_all_are_connected_nobody_announces_any_more() -> None:
    world, alice, bob = two_in_a_lan()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=5)
    world.run_for(10)
    for host in (alice, bob):
        host.outputs.clear()
    world.run_for(600)
    assert announcements(alice) == announcements(bob) == []


def test_a_lossy_lan_only_takes_longer() -> None:
    world, alice, bob = two_in_a_lan()
    chance = SeededEntropy(7)
    world.network.on_path = lambda _payload, _source, _destination: chance.fraction() > 0.3
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=90)


def test_what_is_sent_holds_no_identity_in_the_clear() -> None:
    world, alice, bob = two_in_a_lan()
    seen: list[bytes] = []

    def listen(payload: bytes, _source: Endpoint, _destination: Endpoint) -> bool:
        seen.append(payload)
        return True

    world.network.on_path = listen
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=5)
    for host in (alice, bob):
        names = (host.identity.fingerprint.raw, host.peer_id.raw, host.identity.public.public_key[:64])
        assert not any(name in payload for name in names for payload in seen)
    assert any(payload[:1] == b"\x47" for payload in seen)


def test_two_announcements_of_a_node_have_nothing_in_common() -> None:
    world, alice, _ = two_in_a_lan()
    alice.start()
    world.run_for(5)
    first, second, *_ = (Announcement.decode(payload) for payload in announcements(alice))
    assert first.nonce != second.nonce
    assert not set(first.tags) & set(second.tags)


def test_a_stranger_that_replays_an_announcement_from_elsewhere_draws_few_datagrams_and_delays_nobody() -> None:
    world, alice, bob = two_in_a_lan()
    alice.start()
    world.run_for(1.5)
    captured, forger = announcements(alice)[0], Endpoint.of("192.168.99.99", 666)
    alice.kill()
    bob.start()
    world.run_for(0.5)
    for _ in range(1000):
        bob.feed(lambda mesh, now: mesh.announcement_received(captured, forger, now))
    world.run_for(60)
    drawn = world.network.destinations[str(bob.address), str(forger.address)]
    assert 0 < drawn <= 5
    alice.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=30)


def test_a_flood_of_strangers_announcements_costs_a_bounded_number_of_looks() -> None:
    world, alice, bob = two_in_a_lan()
    alice.start()
    bob.start()
    noise = Announcement(1, bytes(16), tuple(bytes([n]) * 8 for n in range(8))).encode()
    for _ in range(10_000):
        bob.feed(lambda mesh, now: mesh.announcement_received(noise, GROUP, now))
    assert bob.machine.drops["lan: too many"] >= 9_900
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=20)


def two_in_a_lan(*, trusting: bool = True) -> tuple[World, Host, Host]:
    """No backbone, and no way out of their site."""
    world = World(backbones=0)
    site: Site = world.site(Nat(), link=Link(up=False))
    alice, bob = (world.host(name, pins=(), site=site) for name in ("alice", "bob"))
    if trusting:
        trust(alice, bob)
    return world, alice, bob


def trust(alice: Host, bob: Host) -> None:
    alice.trust(bob)
    bob.trust(alice)


def announcements(host: Host) -> list[bytes]:
    return [each.payload for each in host.outputs if isinstance(each, Announce)]
