import pytest

from shadowmesh.identity.names import Fingerprint
from shadowmesh.mesh.errors import NameTaken, NotTrusted, OverlayAddressTaken, PeerAlreadyTrusted, TrustListFull
from shadowmesh.mesh.state import TrustedPeer
from shadowmesh.mesh.trust import MAX_TRUSTED, TrustList, display_name

OWN = Fingerprint(b"o" * 32)


def test_a_trusted_peer_is_found_by_its_id_and_its_overlay_address() -> None:
    trust = TrustList(OWN, [peer(1, "bob")])
    peer_id = peer(1).fingerprint.peer_id
    assert peer_id in trust
    assert trust.get(peer_id) == peer(1, "bob")
    assert trust.at_address(peer_id.overlay_address) == peer(1, "bob")


def test_nobody_else_is_trusted() -> None:
    trust = TrustList(OWN)
    assert OWN.peer_id not in trust
    assert trust.get(peer(1).fingerprint.peer_id) is None
    assert trust.at_address(OWN.peer_id.overlay_address) is None


def test_a_fingerprint_is_trusted_once() -> None:
    with pytest.raises(PeerAlreadyTrusted):
        TrustList(OWN, [peer(1)]).add(peer(1, "other"))


def test_a_node_does_not_trust_itself() -> None:
    with pytest.raises(PeerAlreadyTrusted):
        TrustList(OWN).add(TrustedPeer(OWN))


def test_a_name_belongs_to_one_peer() -> None:
    trust = TrustList(OWN, [peer(1, "bob")])
    with pytest.raises(NameTaken):
        trust.add(peer(2, "bob"))
    trust.add(peer(2, ""))
    trust.add(peer(3, ""))


@pytest.mark.parametrize("shared", [10, 20])
def test_a_second_peer_with_the_same_overlay_address_is_refused_loudly(shared: int) -> None:
    first = peer(1)
    imitation = TrustedPeer(Fingerprint(first.fingerprint.raw[:shared] + b"x" * (32 - shared)))
    with pytest.raises(OverlayAddressTaken, match="imitate"):
        TrustList(OWN, [first]).add(imitation)


def test_a_peer_with_our_own_overlay_address_is_refused() -> None:
    with pytest.raises(OverlayAddressTaken):
        TrustList(OWN).add(TrustedPeer(Fingerprint(OWN.raw[:10] + bytes(22))))


def test_a_removed_peer_leaves_its_name_and_address_free() -> None:
    trust = TrustList(OWN, [peer(1, "bob")])
    trust.remove(peer(1).fingerprint)
    assert len(trust) == 0
    trust.add(peer(1, "bob"))


def test_only_the_whole_fingerprint_removes() -> None:
    trust = TrustList(OWN, [peer(1)])
    with pytest.raises(NotTrusted):
        trust.remove(Fingerprint(peer(1).fingerprint.raw[:20] + b"x" * 12))


def test_the_list_is_bounded() -> None:
    trust = TrustList(OWN, (peer(number) for number in range(MAX_TRUSTED)))
    with pytest.raises(TrustListFull):
        trust.add(peer(MAX_TRUSTED))


def test_saved_peers_that_break_a_rule_are_told() -> None:
    trust = TrustList(OWN, [peer(1, "bob"), peer(2, "bob")])
    assert [refused for refused, _ in trust.refused] == [peer(2, "bob")]
    assert trust.all() == (peer(1, "bob"),)


def test_a_peer_without_a_name_is_shown_by_its_id() -> None:
    assert display_name(peer(1, "bob")) == "bob"
    assert display_name(peer(1)) == str(peer(1).fingerprint.peer_id)


def peer(number: int, name: str = "") -> TrustedPeer:
    return TrustedPeer(Fingerprint(number.to_bytes(4, "big") * 8), name)
