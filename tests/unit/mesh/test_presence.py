from __future__ import annotations

from tests.sim.chance import SeededEntropy
from tests.sim.world import WALL_START, identity_number

from shadowmesh.mesh.own_record import OwnRecord
from shadowmesh.mesh.presence import EndpointsChanged, OwnPresence, PresenceOutput, RecordRenewed
from shadowmesh.mesh.state import MeshConfig
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.records.peer_record import DEFAULT_TTL_PRIVATE_S, REVOKED_SEQUENCE, Mode
from shadowmesh.wire import stun
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

SERVER = Endpoint.of("198.19.0.1", 3478)
HOME, OUTSIDE = Endpoint.of("192.168.1.2", 41641), Endpoint.of("203.0.113.5", 5000)


def test_what_is_outside_of_our_nat_comes_first() -> None:
    presence = made()
    presence.set_host_endpoints([HOME], 0.0)
    learn(presence, OUTSIDE)
    assert presence.addresses.candidates == (
        Candidate(CandidateKind.SERVER_REFLEXIVE, OUTSIDE),
        Candidate(CandidateKind.HOST, HOME),
    )
    assert presence.reflexive == (OUTSIDE,)
    assert EndpointsChanged() in drained(presence)


def test_only_servers_of_our_own_ip_versions_are_asked() -> None:
    over_ipv6 = Endpoint.of("2001:db8:ffff::1", 3478)
    presence = made()
    presence.set_host_endpoints([HOME], 0.0)
    presence.set_servers([SERVER, over_ipv6], 0.0)
    assert {output.destination for output in drained(presence) if isinstance(output, Transmit)} == {SERVER}
    presence.set_host_endpoints([HOME, Endpoint.of("2001:db8::1", 41641)], 1.0)
    asked = {output.destination for output in drained(presence) if isinstance(output, Transmit)}
    assert asked == {SERVER, over_ipv6}


def test_a_private_node_has_no_hints() -> None:
    presence = made()
    presence.set_host_endpoints([OUTSIDE], 0.0)
    assert presence.hints == ()
    assert RecordRenewed() not in drained(presence)


def test_a_public_node_publishes_what_it_learns() -> None:
    presence = made(Mode.PUBLIC)
    presence.set_host_endpoints([OUTSIDE], 0.0)
    assert presence.hints == (OUTSIDE,)
    assert RecordRenewed() in drained(presence)


def test_the_first_addresses_are_no_change_of_network() -> None:
    presence = made()
    assert not presence.set_host_endpoints([HOME], 0.0)
    assert not presence.set_host_endpoints([HOME], 1.0)
    assert presence.set_host_endpoints([OUTSIDE], 2.0)


def test_a_change_of_network_asks_the_servers_again() -> None:
    presence = made()
    presence.set_host_endpoints([HOME], 0.0)
    learn(presence, OUTSIDE)
    drained(presence)
    presence.set_host_endpoints([Endpoint.of("192.168.7.2", 41641)], 5.0)
    assert OUTSIDE not in [candidate.endpoint for candidate in presence.addresses.candidates]
    assert any(isinstance(output, Transmit) for output in drained(presence))


def test_a_private_node_keeps_its_mapping_only_while_it_connects() -> None:
    presence = made()
    learn(presence, OUTSIDE)
    presence.set_connecting(True, 0.1)
    assert presence.next_timeout() == 25.0
    presence.set_connecting(False, 0.1)
    assert presence.next_timeout() == DEFAULT_TTL_PRIVATE_S / 2


def test_a_public_node_keeps_its_mapping_always() -> None:
    presence = made(Mode.PUBLIC)
    learn(presence, OUTSIDE)
    presence.set_connecting(False, 0.1)
    assert presence.next_timeout() == 25.0


def test_the_record_is_renewed_at_half_of_its_life() -> None:
    presence = made()
    presence.handle_timeout(DEFAULT_TTL_PRIVATE_S / 2 - 1)
    assert drained(presence) == []
    presence.handle_timeout(DEFAULT_TTL_PRIVATE_S / 2)
    assert drained(presence) == [RecordRenewed()]


def test_a_record_that_somebody_holds_is_outdone() -> None:
    presence = made()
    presence.outdo(10**15, 0.0)
    assert drained(presence) == [RecordRenewed()]


def test_a_revoked_identity_is_told_and_does_not_spin() -> None:
    presence = made()
    presence.outdo(REVOKED_SEQUENCE, 7.0)
    (notice,) = drained(presence)
    assert "revoked" in repr(notice)
    assert presence.next_timeout() > 7.0


def test_rubbish_is_counted() -> None:
    presence = made()
    presence.receive_stun(b"", SERVER, 0, 0.0)
    assert sum(presence.drops.values()) == 1


def made(mode: Mode = Mode.PRIVATE) -> OwnPresence:
    config = MeshConfig(mode=mode)
    record = OwnRecord(identity_number(1), config, 0, wall_clock=lambda: WALL_START, now=0.0)
    return OwnPresence(record, public=mode is Mode.PUBLIC, entropy=SeededEntropy(1), ids=OpenIds())


def learn(presence: OwnPresence, mapped: Endpoint) -> None:
    presence.set_servers([SERVER], 0.0)
    request = next(output for output in drained(presence) if isinstance(output, Transmit))
    transaction_id = stun.decode(request.payload).transaction_id
    presence.receive_stun(stun.encode_binding_success(transaction_id, mapped), SERVER, 0, 0.0)


def drained(presence: OwnPresence) -> list[PresenceOutput]:
    outputs: list[PresenceOutput] = []
    while (output := presence.poll()) is not None:
        outputs.append(output)
    return outputs
