from __future__ import annotations

from dataclasses import replace

import pytest
from tests.sim.chance import SeededEntropy
from tests.unit.mesh.records import record_of

from shadowmesh.identity.names import PeerID
from shadowmesh.mesh.outputs import InstallPeer, Ponged, RemovePeer
from shadowmesh.mesh.tunnels import KeyInUse, SessionOld, TunnelLost, TunnelOutput, Tunnels, TunnelSilent
from shadowmesh.paths.probed_session import LOST_AFTER_S
from shadowmesh.session.cipher import Cipher
from shadowmesh.session.events import PeerAuthenticated, Role, SessionEstablished
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

ME = PeerID(b"m" * 20)
MY_KEY = b"m" * 32
WHERE, ELSEWHERE = Endpoint.of("198.18.0.3", 41641), Endpoint.of("198.18.0.4", 41641)
RECORD = record_of(1)
BOB = RECORD.peer_id
SESSION = SessionEstablished(
    BOB, Role.RESPONDER, RECORD, b"w" * 32, WHERE, b"p" * 32, b"k" * 32, Cipher.AES_256_GCM, 0.25
)

AUTHENTICATED = PeerAuthenticated(BOB, SESSION.wireguard_key, WHERE, SESSION.psk, SESSION.cipher)


@pytest.mark.parametrize(("role", "initiate"), [(Role.INITIATOR, True), (Role.RESPONDER, False)])
def test_a_session_is_installed_for_its_overlay_address_and_the_initiator_begins(role: Role, initiate: bool) -> None:
    tunnels = made()
    tunnels.install(replace(SESSION, role=role), (), 0.0)
    assert without_transmits(tunnels) == [
        InstallPeer(
            SESSION.wireguard_key, SESSION.psk, WHERE, (f"{BOB.overlay_address}/128",), initiate, Cipher.AES_256_GCM
        )
    ]
    assert BOB in tunnels
    assert tunnels.wireguard_key(BOB) == SESSION.wireguard_key
    assert tunnels.handshake_s(BOB) == 0.25
    assert tunnels.cipher(BOB) is Cipher.AES_256_GCM


def test_a_psk_is_never_printed() -> None:
    tunnels = made()
    tunnels.install(SESSION, (), 0.0)
    assert "ppp" not in repr(without_transmits(tunnels))


def test_a_later_session_with_the_same_key_is_installed_again() -> None:
    tunnels = installed()
    tunnels.install(replace(SESSION, psk=b"q" * 32), (), 1.0)
    (output,) = without_transmits(tunnels)
    assert isinstance(output, InstallPeer)
    assert output.psk == b"q" * 32


def test_a_later_session_with_another_key_removes_the_old_one_first() -> None:
    tunnels = installed()
    tunnels.install(replace(SESSION, wireguard_key=b"x" * 32), (), 1.0)
    removed, put = without_transmits(tunnels)
    assert removed == RemovePeer(SESSION.wireguard_key)
    assert isinstance(put, InstallPeer)


@pytest.mark.parametrize("key", [MY_KEY, SESSION.wireguard_key])
def test_the_key_of_somebody_else_is_refused(key: bytes) -> None:
    tunnels = installed()
    with pytest.raises(KeyInUse):
        tunnels.install(replace(SESSION, peer=PeerID(b"o" * 20), wireguard_key=key), (), 1.0)
    assert without_transmits(tunnels) == []


def test_an_authenticated_peer_is_installed_before_its_session_and_again_with_it() -> None:
    tunnels = made()
    tunnels.prepare(AUTHENTICATED)
    prefixes = (f"{BOB.overlay_address}/128",)
    early = InstallPeer(SESSION.wireguard_key, SESSION.psk, WHERE, prefixes, True, Cipher.AES_256_GCM)
    assert without_transmits(tunnels) == [early]
    assert BOB not in tunnels
    tunnels.install(replace(SESSION, role=Role.INITIATOR), (), 0.1)
    assert without_transmits(tunnels) == [early]
    tunnels.abandon(BOB)
    assert without_transmits(tunnels) == []


def test_a_peer_that_never_accepts_is_out_of_the_engine_when_the_attempt_is_over() -> None:
    for end in (lambda tunnels: tunnels.abandon(BOB), lambda tunnels: tunnels.remove(BOB), Tunnels.remove_all):
        tunnels = made()
        tunnels.prepare(AUTHENTICATED)
        without_transmits(tunnels)
        end(tunnels)
        end(tunnels)
        assert without_transmits(tunnels) == [RemovePeer(SESSION.wireguard_key)]


def test_a_session_with_another_key_than_was_prepared_removes_that_one() -> None:
    tunnels = made()
    tunnels.prepare(replace(AUTHENTICATED, wireguard_key=b"x" * 32))
    without_transmits(tunnels)
    tunnels.install(SESSION, (), 0.1)
    assert without_transmits(tunnels)[0] == RemovePeer(b"x" * 32)


def test_a_tunnel_that_carries_data_is_not_replaced_before_the_peer_accepts() -> None:
    tunnels = installed()
    tunnels.prepare(replace(AUTHENTICATED, psk=b"q" * 32))
    assert without_transmits(tunnels) == []


@pytest.mark.parametrize("key", [MY_KEY, SESSION.wireguard_key])
def test_the_key_of_somebody_else_is_not_prepared(key: bytes) -> None:
    tunnels = installed()
    tunnels.prepare(replace(AUTHENTICATED, peer=PeerID(b"o" * 20), wireguard_key=key))
    assert without_transmits(tunnels) == []


def test_a_prepared_key_can_not_be_claimed_by_somebody_else() -> None:
    tunnels = made()
    tunnels.prepare(AUTHENTICATED)
    with pytest.raises(KeyInUse):
        tunnels.install(replace(SESSION, peer=PeerID(b"o" * 20)), (), 0.0)


def test_a_removed_tunnel_is_out_of_the_engine_at_once() -> None:
    tunnels = installed()
    assert tunnels.remove(BOB)
    assert without_transmits(tunnels) == [RemovePeer(SESSION.wireguard_key)]
    assert not tunnels.remove(BOB)
    assert tunnels.status(BOB) is None
    assert tunnels.next_timeout() is None


def test_all_tunnels_are_removed_at_the_end() -> None:
    tunnels = installed()
    tunnels.remove_all()
    assert without_transmits(tunnels) == [RemovePeer(SESSION.wireguard_key)]


def test_a_silent_peer_is_removed_and_told() -> None:
    tunnels = installed()
    outputs = run(tunnels, LOST_AFTER_S + 1)
    assert outputs == [TunnelSilent(BOB), RemovePeer(SESSION.wireguard_key), TunnelLost(BOB, WHERE)]


def test_a_wireguard_handshake_is_a_sign_of_life() -> None:
    tunnels = installed()
    run(tunnels, 2.5)
    tunnels.wireguard_handshake(SESSION.wireguard_key, 2.5)
    tunnels.wireguard_handshake(b"unknown", 2.5)
    assert run(tunnels, 20.0) == []


def test_a_peer_whose_packets_come_from_elsewhere_is_probed_there_and_not_followed_yet() -> None:
    tunnels = installed()
    without_transmits(tunnels)
    tunnels.roamed(b"unknown", ELSEWHERE, 1.0)
    tunnels.roamed(SESSION.wireguard_key, ELSEWHERE, 1.0)
    sent = tunnels.poll()
    assert isinstance(sent, Transmit)
    assert sent.destination == ELSEWHERE
    status = tunnels.status(BOB)
    assert status is not None
    assert status.path != ELSEWHERE


def test_a_ping_without_an_answer_is_told() -> None:
    tunnels = installed()
    tunnels.ping(BOB, 3, 0.0)
    assert Ponged(BOB, WHERE, 3, None) in run(tunnels, 2.5)
    with pytest.raises(KeyError):
        tunnels.ping(ME, 3, 0.0)


def test_the_initiator_asks_for_a_new_session_after_a_day() -> None:
    tunnels = made()
    tunnels.install(replace(SESSION, role=Role.INITIATOR), (), 0.0)
    for hour in range(25):
        tunnels.wireguard_handshake(SESSION.wireguard_key, hour * 3600.0)
        tunnels.handle_timeout(hour * 3600.0)
    assert [output for output in without_transmits(tunnels) if isinstance(output, SessionOld)] == [
        SessionOld(BOB, WHERE)
    ]


def test_random_probes_are_counted() -> None:
    tunnels = installed()
    tunnels.receive_datagram(b"\x44", WHERE, 0.0)
    assert sum(tunnels.drops.values()) == 1


def test_traffic_brings_a_new_psk_into_both_engines_on_the_path_of_the_session() -> None:
    a, b = made(), made()
    for tunnels, role, via in ((a, Role.INITIATOR, 7), (b, Role.RESPONDER, 0)):
        tunnels.install(replace(SESSION, role=role), (), 0.0, via)
        tunnels.wireguard_handshake(SESSION.wireguard_key, 119.9)
        without_transmits(tunnels)
    a.traffic(SESSION.wireguard_key, 1, 0, 120.0)
    a.traffic(b"unknown", 1, 0, 120.0)
    installed_by: list[InstallPeer] = []
    for sender, receiver, way in ((a, b, (WHERE, 7)), (b, a, (WHERE, 0))) * 3:
        while (output := sender.poll()) is not None:
            if isinstance(output, InstallPeer):
                installed_by.append(output)
            elif isinstance(output, Transmit) and Tunnels.takes(output.payload):
                assert (output.destination, output.via) == way
                receiver.receive_datagram(output.payload, WHERE, 120.0)
    responder, initiator = installed_by
    assert responder.psk == initiator.psk != SESSION.psk
    assert (responder.initiate, initiator.initiate) == (False, True)
    assert (responder.path, initiator.path) == (WHERE, WHERE)
    assert (responder.via, initiator.via) == (0, 7)
    assert responder.allowed_ips == initiator.allowed_ips == (f"{BOB.overlay_address}/128",)


def test_a_tunnel_is_installed_with_the_port_that_leads_to_the_peer() -> None:
    tunnels = made()
    tunnels.prepare(AUTHENTICATED, via=6)
    tunnels.install(replace(SESSION, role=Role.INITIATOR), (), 0.0, via=7)
    assert tunnels.paths() == {(WHERE, 7)}
    assert [output.via for output in without_transmits(tunnels) if isinstance(output, InstallPeer)] == [6, 7]


def test_a_tunnel_takes_probes_and_ratchets_and_no_handshakes() -> None:
    assert [first for first in range(0x40, 0x48) if Tunnels.takes(bytes([first, 1, 5]))] == [0x40, 0x44, 0x45]
    assert not Tunnels.takes(b"\x40\1\1")


def test_traffic_that_is_not_answered_is_followed_by_a_probe_and_then_by_a_call_for_a_new_session() -> None:
    tunnels = installed()
    tunnels.wireguard_handshake(SESSION.wireguard_key, 1.0)
    tunnels.traffic(SESSION.wireguard_key, 0, 100, 2.0)
    assert tunnels.poll() is None
    tunnels.traffic(SESSION.wireguard_key, 0, 200, 2.5)
    assert isinstance(probe := tunnels.poll(), Transmit)
    assert probe.destination == WHERE
    assert run(tunnels, 3.0) == [TunnelSilent(BOB), SessionOld(BOB, WHERE, forgotten=True)]
    assert BOB in tunnels


def test_a_renewal_that_is_wanted_comes_at_once_and_once() -> None:
    tunnels = installed()
    tunnels.renew(BOB, 1.0)
    tunnels.renew(ME, 1.0)
    tunnels.handle_timeout(1.0)
    assert without_transmits(tunnels) == [SessionOld(BOB, WHERE)]


def made() -> Tunnels:
    return Tunnels(ME, MY_KEY, entropy=SeededEntropy(1), ids=OpenIds())


def installed() -> Tunnels:
    tunnels = made()
    tunnels.install(SESSION, (), 0.0)
    without_transmits(tunnels)
    return tunnels


def run(tunnels: Tunnels, until: float) -> list[TunnelOutput]:
    while (at := tunnels.next_timeout()) is not None and at <= until:
        tunnels.handle_timeout(at)
    return without_transmits(tunnels)


def without_transmits(tunnels: Tunnels) -> list[TunnelOutput]:
    outputs: list[TunnelOutput] = []
    while (output := tunnels.poll()) is not None:
        if not isinstance(output, Transmit):
            outputs.append(output)
    return outputs
