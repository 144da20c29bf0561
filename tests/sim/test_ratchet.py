"""Fresh PSKs for sessions that are used."""

from __future__ import annotations

import pytest
from tests.sim.host import Host
from tests.sim.world import World

from shadowmesh.mesh.outputs import InstallPeer, PeerDisconnected
from shadowmesh.records.peer_record import Capability
from shadowmesh.session.cipher import Cipher

HOUR_S = 3600.0


def test_a_session_in_use_gets_a_new_psk_every_two_minutes() -> None:
    world, alice, bob = connected()
    use(world, alice, bob, HOUR_S)
    assert world.would_pass(alice, bob)
    assert len(common := set(psks(alice)) & set(psks(bob))) == 30
    assert [psk for psk in psks(alice) if psk in common] == [psk for psk in psks(bob) if psk in common]


@pytest.mark.parametrize("cipher", Cipher)
def test_a_new_psk_is_for_the_cipher_of_its_session(cipher: Cipher) -> None:
    world, alice, bob = connected(capabilities=Capability.AES_256_GCM if cipher is Cipher.AES_256_GCM else 0)
    use(world, alice, bob, 250)
    installed = [output for output in alice.outputs + bob.outputs if isinstance(output, InstallPeer)]
    assert len(set(psks(alice))) == 3
    assert {output.cipher for output in installed} == {cipher}
    assert [peer.cipher for host in (alice, bob) for peer in host.machine.peers()] == [cipher] * 2


@pytest.mark.parametrize("seed", range(5))
def test_a_bad_network_leaves_both_engines_with_one_psk(seed: int) -> None:
    world, alice, bob = connected(seed)
    weather = world.network.weather
    weather.loss, weather.duplication, weather.reordering = 0.2, 0.1, 0.2
    use(world, alice, bob, HOUR_S)
    weather.loss = 0.0
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=120)
    assert len(psks(alice)) > 20


def test_a_session_that_is_not_used_any_more_falls_silent_again() -> None:
    world, alice, bob = connected()
    use(world, alice, bob, 300)
    world.run_for(130)
    installed = len(psks(alice))
    before = world.network.bytes_on_the_wire(48)
    world.run_for(6 * HOUR_S)
    after = world.network.bytes_on_the_wire(48)
    assert (after - before) * 8 / (6 * HOUR_S) < 100
    assert len(psks(alice)) == installed
    assert world.would_pass(alice, bob)


def test_a_peer_that_restarts_in_the_middle_of_a_ratchet_gets_a_new_session() -> None:
    world, alice, bob = connected()
    for pause_s in (0.01, 0.03, 0.05, 0.07):
        use(world, alice, bob, 120)
        world.run_for(pause_s)
        bob.restart()
        world.run_until(lambda: world.would_pass(alice, bob), limit_s=60)
    assert not [output for output in alice.outputs if isinstance(output, PeerDisconnected)]


def test_a_ratchet_goes_on_when_a_node_changes_its_network() -> None:
    world, alice, bob = connected()
    use(world, alice, bob, 130)
    bob.move("198.18.77.7")
    use(world, alice, bob, 300)
    assert world.would_pass(alice, bob)
    assert len(psks(alice)) == 4


def connected(seed: int = 1, *, capabilities: int = 0) -> tuple[World, Host, Host]:
    world = World(seed)
    alice, bob = world.pair(capabilities)
    alice.start()
    bob.start()
    world.run_until(lambda: world.would_pass(alice, bob), limit_s=3)
    return world, alice, bob


def use(world: World, alice: Host, bob: Host, seconds: float) -> None:
    """As the shell does, the counters are told every ten seconds."""
    for _ in range(int(seconds / 10)):
        world.run_for(10)
        alice.traffic_with(bob)
        bob.traffic_with(alice)
    world.run_for(0.5)


def psks(host: Host) -> list[bytes]:
    """In their order; the initiator installs the first one twice, before and after the peer has accepted it."""
    return list(dict.fromkeys(output.psk for output in host.outputs if isinstance(output, InstallPeer)))
