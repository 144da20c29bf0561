from dataclasses import replace

import pytest
from tests.unit.session.harness import identity, record

from shadowmesh.records.peer_record import REVOKED_SEQUENCE
from shadowmesh.session import peers
from shadowmesh.session.drops import Dropped
from shadowmesh.session.keys import SUITE
from shadowmesh.session.messages import Claim
from shadowmesh.session.peers import AllowedPeer, AllowedPeers


def test_a_peer_that_is_allowed_again_gets_the_newer_record_and_keeps_it() -> None:
    allowed = AllowedPeers()
    for sequence in (2, 3, 1):
        allowed.allow(identity(1).fingerprint, record(1, sequence=sequence))
    allowed.allow(identity(1).fingerprint, None)
    peer = allowed.get(identity(1).peer_id)
    assert peer is not None
    assert peer.record == record(1, sequence=3)


def test_the_record_of_another_key_is_refused() -> None:
    allowed = AllowedPeers()
    with pytest.raises(ValueError, match="not of the key"):
        allowed.allow(identity(1).fingerprint, record(2))
    assert allowed.get(identity(1).peer_id) is None


def test_a_peer_is_forgotten_when_it_is_disallowed() -> None:
    allowed = AllowedPeers()
    allowed.allow(identity(1).fingerprint, None)
    allowed.disallow(identity(1).fingerprint)
    assert allowed.get(identity(1).peer_id) is None


def test_the_list_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "MAX_ALLOWED_PEERS", 1)
    allowed = AllowedPeers()
    allowed.allow(identity(1).fingerprint, None)
    allowed.allow(identity(1).fingerprint, record(1))
    with pytest.raises(ValueError, match="more than 1"):
        allowed.allow(identity(2).fingerprint, None)


HELD = record(1, sequence=5)


@pytest.mark.parametrize(
    "claim",
    [
        Claim.of(HELD),
        Claim(b"newerone", 6, b"n" * 32, 8),
        Claim(b"olderone", 4, HELD.record.wireguard_key, 8),
    ],
)
def test_a_claim_may_name_the_held_record_a_newer_one_or_an_older_one_with_the_same_key(claim: Claim) -> None:
    AllowedPeer(identity(1).fingerprint, HELD).check_claim(claim)


@pytest.mark.parametrize(
    "claim",
    [
        replace(Claim.of(HELD), record_id=b"twinsid!"),
        replace(Claim.of(HELD), wireguard_key=b"n" * 32),
        replace(Claim.of(HELD), capabilities=8),
        Claim(b"olderone", 4, b"n" * 32, 0),
    ],
)
def test_a_claim_with_an_older_key_or_a_twin_of_the_record_is_refused(claim: Claim) -> None:
    with pytest.raises(Dropped):
        AllowedPeer(identity(1).fingerprint, HELD).check_claim(claim)


def test_whoever_revoked_its_record_claims_nothing_any_more() -> None:
    peer = AllowedPeer(identity(1).fingerprint, record(1, sequence=REVOKED_SEQUENCE))
    with pytest.raises(Dropped):
        peer.check_claim(Claim.of(record(1, sequence=REVOKED_SEQUENCE)))


def test_whoever_demands_a_higher_suite_gets_no_session_in_ours() -> None:
    payload = replace(record(1).record, sequence=2, min_suite=SUITE + 1)
    peer = AllowedPeer(identity(1).fingerprint, payload.sign(identity(1)))
    for claim in (Claim.of(record(1)), Claim(b"recordid", 2, record(1).record.wireguard_key, 0)):
        with pytest.raises(Dropped, match="record refused"):
            peer.check_claim(claim)
