"""Commands over a real daemon are in test_run.py; here is what needs none."""

import pytest
from tests.unit.identity.people import ALICE

from shadowmesh.control.errors import ControlError, ErrorCode
from shadowmesh.control.schema import TrustRequest
from shadowmesh.mesh import errors
from shadowmesh.node.commands import refusal, trusted_peer


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NotTrusted("x"), ErrorCode.NOT_TRUSTED),
        (errors.PeerAlreadyTrusted("x"), ErrorCode.ALREADY_TRUSTED),
        (errors.NameTaken("x"), ErrorCode.NAME_TAKEN),
        (errors.OverlayAddressTaken("x"), ErrorCode.FAILED),
        (errors.TrustListFull("x"), ErrorCode.FAILED),
    ],
)
def test_every_refusal_of_the_mesh_has_a_code(error: errors.MeshError, code: ErrorCode) -> None:
    assert refusal(error).code is code
    assert refusal(error).problem == "x"


def test_a_fingerprint_and_a_name_make_a_trusted_peer() -> None:
    peer = trusted_peer(TrustRequest(fingerprint=f" {ALICE.fingerprint}\n", name="alice"))
    assert (peer.fingerprint, peer.name) == (ALICE.fingerprint, "alice")


@pytest.mark.parametrize("fingerprint", ["", "alice", str(ALICE.peer_id), str(ALICE.fingerprint)[:-1]])
def test_what_is_no_fingerprint_is_a_mistake_of_the_caller(fingerprint: str) -> None:
    with pytest.raises(ControlError) as caught:
        trusted_peer(TrustRequest(fingerprint=fingerprint))
    assert caught.value.code is ErrorCode.USAGE
