import pytest
from tests.unit.session.harness import identity, record

from shadowmesh.session.messages import Claim
from shadowmesh.session.own_side import OwnSide


def test_the_claim_follows_the_record() -> None:
    own = OwnSide(identity(1), record(1))
    own.replace_record(record(1, sequence=2, wireguard_key=b"n" * 32))
    assert own.claim == Claim.of(record(1, sequence=2, wireguard_key=b"n" * 32))
    assert own.side.claim == own.claim


def test_the_record_of_another_key_is_refused() -> None:
    with pytest.raises(ValueError, match="its own key"):
        OwnSide(identity(1), record(1)).replace_record(record(2))
