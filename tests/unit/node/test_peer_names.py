import pytest
from tests.unit.identity.people import ALICE, BOB

from shadowmesh.control.errors import ControlError, ErrorCode
from shadowmesh.mesh.state import TrustedPeer
from shadowmesh.node.peer_names import check_name, find_peer, find_trusted

TRUSTED = (TrustedPeer(ALICE.fingerprint, "alice"), TrustedPeer(BOB.fingerprint))


@pytest.mark.parametrize(
    "text", ["alice", f" {ALICE.peer_id} ", str(ALICE.fingerprint).upper(), str(ALICE.peer_id.overlay_address)]
)
def test_a_trusted_peer_is_found_by_each_of_its_names(text: str) -> None:
    assert find_trusted(text, TRUSTED) == TRUSTED[0]
    assert find_peer(text, TRUSTED) == ALICE.peer_id


@pytest.mark.parametrize("text", [str(ALICE.peer_id), str(ALICE.fingerprint)])
def test_a_stranger_is_found_by_its_keys_names_but_is_not_trusted(text: str) -> None:
    assert find_peer(text, ()) == ALICE.peer_id
    with pytest.raises(ControlError) as caught:
        find_trusted(text, ())
    assert caught.value.code is ErrorCode.NOT_TRUSTED


@pytest.mark.parametrize(
    "text", ["", "carol", "sm1qqqqqqqq", "192.0.2.1", "fe80::1", str(ALICE.peer_id.overlay_address)]
)
def test_what_names_nobody_is_refused(text: str) -> None:
    with pytest.raises(ControlError) as caught:
        find_peer(text, ())
    assert caught.value.code is ErrorCode.PEER_UNKNOWN


@pytest.mark.parametrize("name", ["alice", "nas-2.home", "A_b", "7"])
def test_a_plain_name_is_legal(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["-f", "sm1alice", "SM1x", "a b", "é", "a:b", "a/b", "a\n"])
def test_a_name_that_could_be_taken_for_something_else_is_refused(name: str) -> None:
    with pytest.raises(ControlError):
        check_name(name)
