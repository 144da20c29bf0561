"""Two nodes that trust each other."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.sim.host import Host
from tests.sim.world import World

from shadowmesh.mesh.outputs import PeerConnected, PeerDisconnected
from shadowmesh.mesh.state import PeerState, SavedState
from shadowmesh.records.peer_record import Mode

HOUR_S = 3600.0


def test_two_nodes_meet_through_the_backbone() -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("loss", [0.05, 0.2])
def test_two_nodes_meet_through_loss_reordering_and_duplication(seed: int, loss: float) -> None:
    world = World(seed)
    weather = world.network.weather
    weather.loss, weather.duplication, weather.reordering = loss, 0.1, 0.2
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=60)


@pytest.mark.parametrize("seed", range(5))
def test_two_nodes_that_ask_for_each_other_at_the_same_moment_get_one_session(seed: int) -> None:
    world = World(seed)
    alice, bob = world.pair()
    alice.start()
    bob.start()
    alice.connect(bob)
    bob.connect(alice)
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    world.run_for(60)
    assert world.would_pass(alice, bob)
    assert [len(connections(host.outputs)) for host in (alice, bob)] == [1, 1]


def test_a_packet_for_a_trusted_peer_connects_to_it() -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    bob.kill()
    world.backbone.kill()
    world.run_until(lambda: alice.status(bob).state is PeerState.IDLE, limit_s=HOUR_S)
    bob.disk = SavedState(trusted=bob.disk.trusted, record_sequence=bob.disk.record_sequence)
    bob.start()
    world.run_for(60)
    assert not alice.is_connected(bob)
    alice.send_packet_to(bob)
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=5)


IP_AND_UDP_BYTES = {4: 20 + 8, 6: 40 + 8}


def test_an_idle_pair_costs_less_than_100_bits_a_second_in_every_hour() -> None:
    """Everything on UDP of both nodes together, with IPv6 headers: probes, handshakes, ratchets, STUN.

    WireGuard adds nothing to it: it has no persistent keepalive here, and sends none where no data came. The link to
    the backbone is TCP, one for all peers, and is not in the figure.
    """
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    world.run_for(60)
    bits_a_second = []
    for _ in range(6):
        before = world.network.bytes_on_the_wire(IP_AND_UDP_BYTES[6])
        world.run_for(HOUR_S)
        bits_a_second.append((world.network.bytes_on_the_wire(IP_AND_UDP_BYTES[6]) - before) * 8 / HOUR_S)
    assert max(bits_a_second) < 100
    assert min(bits_a_second) > 10, "nothing at all keeps a mapping open"
    assert world.would_pass(alice, bob)


def test_a_pair_on_a_lossy_network_seldom_falls_apart() -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    world.network.weather.loss = 0.2
    world.run_for(6 * HOUR_S)
    lost = [output for output in alice.outputs if isinstance(output, PeerDisconnected)]
    assert len(lost) <= 6
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=60)


def test_a_peer_that_dies_is_noticed_within_36_seconds_and_found_again_when_it_returns() -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    bob.kill()
    world.run_until(lambda: not alice.is_connected(bob), limit_s=38)
    assert alice.engine is not None
    assert not alice.engine.peers
    world.run_for(20)
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=5)


def test_a_peer_that_restarts_at_once_gets_a_new_session_without_a_gap_in_the_old_state() -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    bob.restart()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    assert not [output for output in alice.outputs if isinstance(output, PeerDisconnected)]


def test_a_node_that_changes_its_network_keeps_its_session() -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    before = installs(alice, bob)
    bob.move("198.18.77.7")
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=2)
    assert installs(alice, bob) == before


def test_a_public_node_is_found_at_the_addresses_of_its_record_without_a_call() -> None:
    world = World()
    alice, bob = world.host("alice"), world.host("bob", mode=Mode.PUBLIC)
    alice.trust(bob)
    bob.trust(alice)
    bob.start()
    world.run_for(5)
    assert bob.machine.own_record.record.endpoints == (bob.endpoint,)
    world.backbone.clients[bob.peer_id].updates = False
    alice.start()
    alice.connect(bob)
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=5)


def test_a_peer_that_trusts_us_no_more_is_installed_while_an_attempt_goes_on_and_no_longer() -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    bob.feed(lambda mesh, now: mesh.untrust(alice.identity.fingerprint, now))
    world.run_until(lambda: not alice.is_connected(bob), limit_s=38)
    assert alice.engine is not None
    for _ in range(2):
        world.run_until(lambda: bool(alice.engine and alice.engine.peers), limit_s=60)
        world.run_until(lambda: not (alice.engine and alice.engine.peers), limit_s=48)
    assert not alice.is_connected(bob)


def test_a_path_that_works_one_way_only_is_given_up_and_repaired_when_it_works_again() -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    world.network.cut(alice.address, bob.address)
    world.run_until(lambda: not alice.is_connected(bob) and not bob.is_connected(alice), limit_s=40)
    world.network.mend(alice.address, bob.address)
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=100)


def test_a_session_is_renewed_after_a_day() -> None:
    world = World()
    alice, bob = world.pair()
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    world.run_for(60)
    before = installs(alice, bob)
    world.run_for(25 * HOUR_S)
    assert world.would_pass(alice, bob)
    assert installs(alice, bob) == [count + 1 for count in before]
    assert len(connections(alice.outputs)) == 1


def connections(outputs: Sequence[object]) -> list[object]:
    return [output for output in outputs if isinstance(output, PeerConnected)]


def installs(*hosts: Host) -> list[int]:
    return [host.engine.installs for host in hosts if host.engine]
