from pathlib import Path

import pytest
from tests.unit.identity.people import ALICE, BOB, CAROL
from tests.unit.node.homes import home_with_identity, storage_in

from shadowmesh.control.errors import ErrorCode, ShadowMeshError
from shadowmesh.control.home import Home
from shadowmesh.control.schema import PeerRequest, TrustRequest
from shadowmesh.node.errors import HomeInUse, IdentityProblem
from shadowmesh.node.lock import HomeLock
from shadowmesh.node.stopped_node import StoppedNode

TRUST_BOB = TrustRequest(fingerprint=str(BOB.fingerprint), name="bob")


def test_trust_outlives_the_process(tmp_path: Path) -> None:
    home = home_with_identity(tmp_path, ALICE)
    with StoppedNode.open(home) as node:
        node.trust(TRUST_BOB)
    assert [peer.name for peer in storage_in(tmp_path).load().trusted] == ["bob"]
    with StoppedNode.open(home) as node:
        assert [peer.name for peer in node.trusted().trusted] == ["bob"]
        node.untrust(PeerRequest(peer=str(BOB.peer_id)))
    assert storage_in(tmp_path).load().trusted == ()


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (TRUST_BOB, ErrorCode.ALREADY_TRUSTED),
        (TrustRequest(fingerprint=str(CAROL.fingerprint), name="bob"), ErrorCode.NAME_TAKEN),
        (TrustRequest(fingerprint=str(ALICE.fingerprint)), ErrorCode.ALREADY_TRUSTED),
        (TrustRequest(fingerprint=str(CAROL.peer_id)), ErrorCode.USAGE),
        (TrustRequest(fingerprint="carol"), ErrorCode.USAGE),
        (TrustRequest(fingerprint=str(CAROL.fingerprint), name="-x"), ErrorCode.USAGE),
    ],
)
def test_the_rules_are_those_of_a_running_node(tmp_path: Path, request_: TrustRequest, code: ErrorCode) -> None:
    with StoppedNode.open(home_with_identity(tmp_path, ALICE)) as node:
        node.trust(TRUST_BOB)
        with pytest.raises(ShadowMeshError) as caught:
            node.trust(request_)
    assert caught.value.code is code
    assert len(storage_in(tmp_path).load().trusted) == 1


def test_a_stranger_cannot_be_untrusted(tmp_path: Path) -> None:
    with StoppedNode.open(home_with_identity(tmp_path, ALICE)) as node, pytest.raises(ShadowMeshError) as caught:
        node.untrust(PeerRequest(peer=str(BOB.fingerprint)))
    assert caught.value.code is ErrorCode.NOT_TRUSTED


def test_a_home_in_use_is_left_alone(tmp_path: Path) -> None:
    home = home_with_identity(tmp_path, ALICE)
    with HomeLock.acquire(home), pytest.raises(HomeInUse):
        StoppedNode.open(home)


def test_a_folder_without_a_node_stays_empty(tmp_path: Path) -> None:
    with pytest.raises(IdentityProblem):
        StoppedNode.open(Home(tmp_path / "typo"))
    assert list(tmp_path.iterdir()) == []
