from functools import cache
from typing import Any

import msgspec
import pytest
from tests.unit.identity.people import ALICE, BOB, CAROL

from shadowmesh.backbone_protocol import body
from shadowmesh.backbone_protocol.login import (
    CLIENT_CONTEXT,
    Challenge,
    LoginReply,
    LoginRequest,
    RenewalReply,
    claimed_identity,
    proof_key,
)
from shadowmesh.identity.keys import BadSignature
from shadowmesh.wire import cbor
from shadowmesh.wire.errors import DecodeError

_SERVER, _AUTHORITY = BOB.peer_id, "b1.example:8443"
_SECRET = b"\7" * 32


def test_a_request_verifies_for_its_client_server_and_authority() -> None:
    request().verify(ALICE.public, _SERVER, _AUTHORITY)


def test_a_request_comes_back_from_both_encodings_and_still_verifies() -> None:
    for encode, decode in ((body.encode_cbor, body.decode_cbor), (body.encode_json, body.decode_json)):
        received = decode(encode(request()), LoginRequest)
        received.verify(ALICE.public, _SERVER, _AUTHORITY)
        assert received.digest() == request().digest()


def test_another_server_cannot_use_the_request() -> None:
    with pytest.raises(BadSignature):
        request().verify(ALICE.public, CAROL.peer_id, _AUTHORITY)


def test_another_authority_cannot_use_the_request() -> None:
    with pytest.raises(BadSignature):
        request().verify(ALICE.public, _SERVER, "evil.example:8443")


def test_another_client_has_not_signed_the_request() -> None:
    with pytest.raises(BadSignature):
        request().verify(CAROL.public, _SERVER, _AUTHORITY)


@pytest.mark.parametrize(
    "change",
    [
        {"challenge": b"\2" * 32},
        {"expires": 8},
        {"tag": b"\2" * 16},
        {"client_nonce": b"\2" * 32},
        {"peer_id": bytes(20)},
        {"ek": b"\2" * 1568},
        {"mode": 1},
        {"region": 4},
        {"public_key": None},
        {"public_key": CAROL.public.public_key},
        {"sig": None},
        {"sig": bytes(4627)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_of_the_request_is_signed(change: dict[str, Any]) -> None:
    with pytest.raises(BadSignature):
        msgspec.structs.replace(request(), **change).verify(ALICE.public, _SERVER, _AUTHORITY)


def test_what_the_client_signs_is_the_canonical_map_of_all_fields_with_server_and_authority() -> None:
    fields = cbor.decode(body.encode_cbor(request()), max_bytes=16384, what="test")
    signature = fields.pop("sig")
    signed = cbor.encode(fields | {"server": _SERVER.raw, "authority": _AUTHORITY})
    ALICE.public.verify(signature, signed, context=CLIENT_CONTEXT)


def test_the_first_request_takes_9_kb_and_the_next_ones_6_4() -> None:
    assert 8_900 < len(body.encode_cbor(request())) < 9_100
    again = msgspec.structs.replace(request(), public_key=None)
    assert 6_300 < len(body.encode_cbor(again)) < 6_500


def test_the_claimed_key_must_be_the_one_that_the_peer_id_names() -> None:
    assert claimed_identity(request()) == ALICE.public
    with pytest.raises(DecodeError, match="not the one that the PeerID names"):
        claimed_identity(msgspec.structs.replace(request(), peer_id=CAROL.peer_id.raw))


def test_a_request_without_key_claims_none() -> None:
    assert claimed_identity(msgspec.structs.replace(request(), public_key=None)) is None


def test_a_reply_verifies_and_confirms_for_its_request() -> None:
    reply = body.decode_cbor(body.encode_cbor(confirmed_reply()), LoginReply)
    reply.verify(BOB.public, request())
    reply.check_confirmation(reply.proof_key(_SECRET, request()))


def test_the_reply_to_another_request_does_not_verify() -> None:
    other = msgspec.structs.replace(request(), client_nonce=b"\2" * 32)
    with pytest.raises(BadSignature):
        confirmed_reply().verify(BOB.public, other)


def test_another_server_has_not_signed_the_reply() -> None:
    with pytest.raises(BadSignature):
        confirmed_reply().verify(CAROL.public, request())


@pytest.mark.parametrize(
    "change",
    [
        {"ct": b"\2" * 1568},
        {"token": "other"},
        {"token_expires": 8},
        {"directory_version": 2},
        {"next_challenge": Challenge(challenge=b"\2" * 32, expires=8, tag=bytes(16), server=_SERVER.raw)},
        {"sig": None},
        {"sig": bytes(4627)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_of_the_reply_is_signed_and_confirmed(change: dict[str, Any]) -> None:
    changed = msgspec.structs.replace(confirmed_reply(), **change)
    with pytest.raises(BadSignature):
        changed.verify(BOB.public, request())
    with pytest.raises(BadSignature):
        changed.check_confirmation(confirmed_reply().proof_key(_SECRET, request()))


def test_a_server_that_did_not_get_the_secret_cannot_confirm() -> None:
    with pytest.raises(BadSignature, match="does not confirm"):
        confirmed_reply().check_confirmation(confirmed_reply().proof_key(b"\x08" * 32, request()))


def test_a_reply_without_confirmation_is_refused() -> None:
    reply = msgspec.structs.replace(confirmed_reply(), confirmation=None)
    with pytest.raises(BadSignature):
        reply.check_confirmation(reply.proof_key(_SECRET, request()))


def test_the_proof_key_depends_on_secret_request_and_ciphertext() -> None:
    other_request = msgspec.structs.replace(request(), region=4)
    keys = {
        proof_key(_SECRET, request(), b"\1" * 1568),
        proof_key(b"\x08" * 32, request(), b"\1" * 1568),
        proof_key(_SECRET, other_request, b"\1" * 1568),
        proof_key(_SECRET, request(), b"\2" * 1568),
    }
    assert len(keys) == 4


def test_the_proof_key_is_known_before_the_token_is_made() -> None:
    assert confirmed_reply().proof_key(_SECRET, request()) == proof_key(_SECRET, request(), confirmed_reply().ct)


def test_client_and_server_derive_the_same_key_before_and_after_the_confirmation() -> None:
    before = msgspec.structs.replace(confirmed_reply(), confirmation=None)
    assert before.proof_key(_SECRET, request()) == confirmed_reply().proof_key(_SECRET, request())


def test_a_request_is_not_a_reply_signed_by_the_same_key() -> None:
    own = msgspec.structs.replace(confirmed_reply(), sig=request().sig)
    with pytest.raises(BadSignature):
        own.verify(ALICE.public, request())


def test_a_renewal_takes_less_than_1_kb() -> None:
    challenge = Challenge(challenge=bytes(32), expires=2**39, tag=bytes(16), server=bytes(20))
    reply = RenewalReply(token="t" * 450, token_expires=2**39, directory_version=2**60, next_challenge=challenge)
    assert len(body.encode_cbor(reply)) < 1024


@cache
def request() -> LoginRequest:
    return LoginRequest(
        challenge=b"\1" * 32,
        expires=7,
        tag=b"\1" * 16,
        client_nonce=b"\1" * 32,
        peer_id=ALICE.peer_id.raw,
        ek=b"\1" * 1568,
        mode=0,
        region=3,
        public_key=ALICE.public.public_key,
    ).signed_by(ALICE, _SERVER, _AUTHORITY)


@cache
def confirmed_reply() -> LoginReply:
    signed = LoginReply(
        ct=b"\1" * 1568,
        token="token",
        token_expires=7,
        directory_version=1,
        next_challenge=Challenge(challenge=b"\1" * 32, expires=7, tag=bytes(16), server=_SERVER.raw),
    ).signed_by(BOB, request())
    return signed.confirmed(signed.proof_key(_SECRET, request()))
