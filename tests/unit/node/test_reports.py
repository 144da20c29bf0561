from tests.unit.identity.people import ALICE

from shadowmesh.mesh.state import LinkState, LinkStatus, PeerState, PeerStatus, TrustedPeer
from shadowmesh.node import reports
from shadowmesh.node.reports import Traffic
from shadowmesh.paths.path_kind import PathKind
from shadowmesh.records.peer_record import Capability, Mode, PeerRecord
from shadowmesh.records.region import Region
from shadowmesh.session.cipher import Cipher
from shadowmesh.wire.endpoint import Endpoint

PATH = Endpoint.of("192.0.2.1", 41641)


def test_an_identity_is_its_three_names() -> None:
    document = reports.identity(ALICE.fingerprint)
    assert document.fingerprint == str(ALICE.fingerprint)
    assert document.peer_id == str(ALICE.peer_id)
    assert document.address == str(ALICE.peer_id.overlay_address)


def test_a_connected_peer_has_its_probes_age_and_its_traffic() -> None:
    status = PeerStatus(
        ALICE.peer_id,
        ALICE.fingerprint,
        "alice",
        PeerState.CONNECTED,
        PATH,
        0.02,
        95.0,
        0.009,
        Cipher.AES_256_GCM,
        bytes(range(32)),
        "",
        PathKind.THROUGH_NAT,
    )
    peer = reports.peer(status, {bytes(range(32)): Traffic(10, 20, 3.5)}, now=100.0)
    assert (peer.state, peer.path, peer.rtt_s, peer.probe_age_s) == ("connected", "192.0.2.1:41641", 0.02, 5.0)
    assert (peer.rx_bytes, peer.tx_bytes, peer.handshake_age_s) == (10, 20, 3.5)
    assert (peer.handshake_s, peer.cipher, peer.path_kind) == (0.009, "aes256gcm", "through NAT")


def test_an_idle_peer_has_neither() -> None:
    status = PeerStatus(ALICE.peer_id, ALICE.fingerprint, "", PeerState.IDLE, None, None, None, None, None, None, "why")
    peer = reports.peer(status, {bytes(range(32)): Traffic(10, 20, 3.5)}, now=100.0)
    assert (peer.path, peer.probe_age_s, peer.rx_bytes, peer.handshake_age_s) == (None, None, 0, None)
    assert peer.reason == "why"


def test_every_link_state_has_its_word() -> None:
    for state in LinkState:
        link = reports.link(LinkStatus(state, "", None, None, "", (PATH,), 0.1, 3), 1.0)
        assert link.state == state.value
        assert link.reflexive == ["192.0.2.1:41641"]


def test_record_facts_say_what_the_record_says() -> None:
    record = PeerRecord(
        ALICE.public,
        7,
        100,
        60,
        bytes(32),
        mode=Mode.PUBLIC,
        capabilities=Capability.RELAY | Capability.AES_256_GCM,
        region=Region.EUROPE,
        endpoints=(PATH,),
    ).sign(ALICE)
    facts = reports.record_facts(record)
    assert (facts.sequence, facts.expires_at, facts.mode, facts.region) == (7, 160, "public", "europe")
    assert facts.capabilities == ["relay", "aes_256_gcm"]
    assert facts.size_bytes == len(record.encoded)


def test_a_trust_list_keeps_its_order() -> None:
    entries = [TrustedPeer(ALICE.fingerprint, "alice")]
    assert [entry.name for entry in reports.trust_list(entries).trusted] == ["alice"]
