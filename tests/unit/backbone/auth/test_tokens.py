"""Tokens that must not be believed."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from tests.unit.backbone.world import SettableClock, seeded

from shadowmesh.backbone.auth.token_keys import TokenKeys
from shadowmesh.backbone.auth.tokens import TOKEN_LIFETIME_S, Tokens
from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.identity.names import PeerID

ISSUER, PEER = PeerID(b"i" * 20), PeerID(b"p" * 20)
KEY = b"k" * 32


def test_a_token_gives_back_the_peer_and_the_proof_key(tmp_path: Path) -> None:
    tokens = make(tmp_path)
    token, _ = tokens.issue(PEER, KEY)
    session = tokens.check(token)
    assert (session.peer, tokens.proof_key(session)) == (PEER, KEY)
    assert len(token) < 600


def test_the_proof_key_is_not_readable_in_the_token(tmp_path: Path) -> None:
    token, _ = make(tmp_path).issue(PEER, KEY)
    assert KEY not in base64.urlsafe_b64decode(token.split(".")[1] + "==")
    assert base64.urlsafe_b64encode(KEY).rstrip(b"=") not in base64.urlsafe_b64decode(token.split(".")[1] + "==")


def test_a_token_dies_after_24_hours(tmp_path: Path) -> None:
    clock = SettableClock()
    tokens = make(tmp_path, clock)
    token, _ = tokens.issue(PEER, KEY)
    clock.advance(TOKEN_LIFETIME_S - 1)
    tokens.check(token)
    clock.advance(1)
    assert problem(tokens, token) is Problem.TOKEN_EXPIRED


def test_a_token_survives_a_restart_and_the_days_key_change(tmp_path: Path) -> None:
    clock = SettableClock()
    token, _ = make(tmp_path, clock).issue(PEER, KEY)
    clock.advance(TOKEN_LIFETIME_S - 1)
    again = make(tmp_path, clock)
    again.issue(PEER, KEY)
    assert again.proof_key(again.check(token)) == KEY


def test_a_token_of_another_backbone_is_refused(tmp_path: Path) -> None:
    other = Tokens(
        PeerID(b"o" * 20),
        TokenKeys(tmp_path / "other.json", PeerID(b"o" * 20), SettableClock(), seeded(9)),
        SettableClock(),
        seeded(9),
    )
    token, _ = other.issue(PEER, KEY)
    assert problem(make(tmp_path), token) is Problem.TOKEN_INVALID


def test_a_token_made_with_another_key_under_our_kid_is_refused(tmp_path: Path) -> None:
    token, _ = make(tmp_path).issue(PEER, KEY)
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    forged = jwt.encode(header, claims, OctKey.import_key(b"x" * 32), ["HS256"])
    assert problem(make(tmp_path), forged) is Problem.TOKEN_INVALID


def test_a_changed_subject_is_refused(tmp_path: Path) -> None:
    token, _ = make(tmp_path).issue(PEER, KEY)
    header, payload, tag = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "==")) | {"sub": str(PeerID(b"v" * 20))}
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    assert problem(make(tmp_path), f"{header}.{changed}.{tag}") is Problem.TOKEN_INVALID


@pytest.mark.parametrize("algorithm", ["none", "None", "RS256", "HS512", "EdDSA"])
def test_another_algorithm_in_the_header_is_refused(tmp_path: Path, algorithm: str) -> None:
    token, _ = make(tmp_path).issue(PEER, KEY)
    header, payload, tag = token.split(".")
    changed = json.loads(base64.urlsafe_b64decode(header + "==")) | {"alg": algorithm}
    encoded = base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode()
    for end in (tag, ""):
        assert problem(make(tmp_path), f"{encoded}.{payload}.{end}") is Problem.TOKEN_INVALID


def test_a_token_really_signed_with_rsa_is_refused(tmp_path: Path) -> None:
    token, _ = make(tmp_path).issue(PEER, KEY)
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    pem = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    forged = jwt.encode(header | {"alg": "RS256"}, claims, RSAKey.import_key(pem), ["RS256"])
    assert problem(make(tmp_path), forged) is Problem.TOKEN_INVALID


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "é.é.é", "x" * 5000, "e30.e30.e30", "bnVsbA.e30."])
def test_what_is_not_a_token_is_refused(tmp_path: Path, token: str) -> None:
    assert problem(make(tmp_path), token) is Problem.TOKEN_INVALID


def make(folder: Path, clock: SettableClock | None = None) -> Tokens:
    clock = clock or SettableClock()
    keys = TokenKeys(folder / "token_keys.json", ISSUER, clock, seeded(5))
    return Tokens(ISSUER, keys, clock, seeded(6))


def problem(tokens: Tokens, token: str) -> Problem:
    with pytest.raises(Refused) as refused:
        tokens.check(token)
    return refused.value.problem
