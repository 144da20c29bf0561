from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.identity.people import ALICE, BOB, CAROL

from shadowmesh.identity.keys import BadSignature
from shadowmesh.records.cose import MultiSigned, Sign1, sign1
from shadowmesh.wire import cbor
from shadowmesh.wire.errors import DecodeError

_AAD = b"shadowmesh/test/v1"
_PROTECTED = bytes.fromhex("a1013831")  # {1: -50}


def test_a_signature_verifies_for_its_signer_and_domain() -> None:
    envelope = decode_sign1(sign1(b"payload", ALICE, external_aad=_AAD))
    assert envelope.payload == b"payload"
    envelope.verify(ALICE.public, external_aad=_AAD)


def test_another_signer_domain_or_payload_does_not_verify() -> None:
    envelope = decode_sign1(sign1(b"payload", ALICE, external_aad=_AAD))
    with pytest.raises(BadSignature):
        envelope.verify(BOB.public, external_aad=_AAD)
    with pytest.raises(BadSignature):
        envelope.verify(ALICE.public, external_aad=b"")
    with pytest.raises(BadSignature):
        replace(envelope, payload=b"pay").verify(ALICE.public, external_aad=_AAD)


def test_what_is_signed_is_the_structure_of_rfc_9052() -> None:
    envelope = decode_sign1(sign1(b"payload", ALICE, external_aad=_AAD))
    signed = b"\x84\x6aSignature1" + b"\x44" + _PROTECTED + b"\x52" + _AAD + b"\x47payload"
    ALICE.public.verify(envelope.signature, signed, context=b"")


def test_what_several_sign_is_the_structure_of_rfc_9052() -> None:
    envelope = two_signers()
    signed = b"\x85\x69Signature" + b"\x40" + b"\x44" + _PROTECTED + b"\x52" + _AAD + b"\x47payload"
    ALICE.public.verify(envelope.signatures[ALICE.fingerprint], signed, context=b"")


def test_one_signers_signature_is_not_that_of_several() -> None:
    alone = decode_sign1(sign1(b"payload", ALICE, external_aad=_AAD))
    with pytest.raises(BadSignature):
        MultiSigned(b"payload", {ALICE.fingerprint: alone.signature}).verify(ALICE.public, external_aad=_AAD)


@pytest.mark.parametrize("change", [{0: b"\xa1\x01\x38\x30"}, {0: b""}, {1: {4: b"x"}}, {2: None}, {3: bytes(4626)}])
def test_another_header_or_shape_is_refused(change: dict[int, Any]) -> None:
    items = {0: _PROTECTED, 1: {}, 2: b"payload", 3: bytes(4627)} | change
    with pytest.raises(DecodeError):
        decode_sign1(cbor.encode(list(items.values())))


def test_several_signatures_come_back_and_verify_each() -> None:
    envelope = two_signers()
    assert decode_several(envelope.encode()) == envelope
    envelope.verify(ALICE.public, external_aad=_AAD)
    envelope.verify(BOB.public, external_aad=_AAD)


def test_who_has_not_signed_does_not_verify() -> None:
    with pytest.raises(KeyError):
        two_signers().verify(CAROL.public, external_aad=_AAD)


def test_a_signature_under_anothers_name_does_not_verify() -> None:
    envelope = two_signers()
    forged = MultiSigned(envelope.payload, {BOB.fingerprint: envelope.signatures[ALICE.fingerprint]})
    with pytest.raises(BadSignature):
        forged.verify(BOB.public, external_aad=_AAD)


def test_the_order_of_signing_does_not_matter() -> None:
    other = MultiSigned(b"payload", dict(reversed(two_signers().signatures.items())))
    assert other.encode() == two_signers().encode()


def test_signing_again_replaces_the_signature() -> None:
    again = two_signers().signed_also_by(ALICE, external_aad=_AAD)
    assert list(again.signatures) == list(two_signers().signatures)


def test_signatures_out_of_order_or_twice_are_refused() -> None:
    protected, unprotected, payload, (first, second) = cbor.decode(two_signers().encode(), max_bytes=99999, what="test")
    for signers in ([second, first], [first, first], [first, second, second], []):
        with pytest.raises(DecodeError):
            decode_several(cbor.encode([protected, unprotected, payload, signers]))


def test_65_signatures_are_refused() -> None:
    signers = [[_PROTECTED, {4: bytes([number]) * 32}, bytes(4627)] for number in range(65)]
    decode_several(cbor.encode([b"", {}, b"", signers[:64]]))
    with pytest.raises(DecodeError, match="65 signatures"):
        decode_several(cbor.encode([b"", {}, b"", signers]))


@pytest.mark.parametrize(
    "signer",
    [
        [b"", {4: bytes(32)}, bytes(4627)],
        [_PROTECTED, {}, bytes(4627)],
        [_PROTECTED, {4: bytes(20)}, bytes(4627)],
        [_PROTECTED, {4: "x" * 32}, bytes(4627)],
        [_PROTECTED, {5: bytes(32)}, bytes(4627)],
        [_PROTECTED, {4: bytes(32), 5: 0}, bytes(4627)],
        [_PROTECTED, {4: bytes(32)}, bytes(4626)],
        [_PROTECTED, {4: bytes(32)}],
        None,
    ],
)
def test_a_malformed_signer_is_refused(signer: Any) -> None:
    with pytest.raises(DecodeError):
        decode_several(cbor.encode([b"", {}, b"", [signer]]))


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_sign1(data)
    with pytest.raises(DecodeError):
        decode_several(data)


@cache
def two_signers() -> MultiSigned:
    envelope = MultiSigned(b"payload", {})
    return envelope.signed_also_by(ALICE, external_aad=_AAD).signed_also_by(BOB, external_aad=_AAD)


def decode_sign1(data: bytes) -> Sign1:
    return Sign1.decode(data, max_bytes=10_000, what="test")


def decode_several(data: bytes) -> MultiSigned:
    decoded = MultiSigned.decode(data, max_bytes=400_000, what="test")
    return MultiSigned(decoded.payload, dict(sorted(decoded.signatures.items())))
