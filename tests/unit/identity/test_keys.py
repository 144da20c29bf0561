import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.identity.people import ALICE, BOB

from shadowmesh.identity.keys import SIGNATURE_BYTES, BadSignature, Identity, PublicIdentity
from shadowmesh.wire.errors import DecodeError

_PUBLIC = Path("tests/vectors")
_OURS = json.loads(Path("docs/spec/vectors/identity.json").read_text())


def load_groups(*names: str) -> list[dict[str, Any]]:
    return [group for name in names for group in json.loads((_PUBLIC / name).read_text())["testGroups"]]


_VERIFY_GROUPS = load_groups("wycheproof/mldsa_87_verify_test.part1.json", "wycheproof/mldsa_87_verify_test.part2.json")
_SIGN_GROUPS = load_groups("wycheproof/mldsa_87_sign_seed_test.json")
_KEY_GROUPS = load_groups("acvp/mldsa87-key-gen.json")


def test_all_the_public_vectors_are_there() -> None:
    assert sum(len(group["tests"]) for group in _VERIFY_GROUPS) == 241
    assert sum(len(group["tests"]) for group in _SIGN_GROUPS) == 96
    assert sum(len(group["tests"]) for group in _KEY_GROUPS) == 25


@pytest.mark.parametrize("group", _VERIFY_GROUPS, ids=lambda group: group["tests"][0]["tcId"])
def test_wycheproof_signatures_verify_or_are_refused_as_labelled(group: dict[str, Any]) -> None:
    for case in group["tests"]:
        accepted = verifies(
            bytes.fromhex(group["publicKey"]),
            bytes.fromhex(case["sig"]),
            bytes.fromhex(case["msg"]),
            bytes.fromhex(case.get("ctx", "")),
        )
        assert accepted == (case["result"] == "valid"), case["comment"]


@pytest.mark.parametrize("group", _SIGN_GROUPS, ids=lambda group: group["tests"][0]["tcId"])
def test_wycheproof_seeds_give_the_public_key_and_signatures_that_verify(group: dict[str, Any]) -> None:
    seed = bytes.fromhex(group["privateSeed"])
    if len(seed) != 32:
        with pytest.raises(ValueError, match="want 32"):
            Identity(seed)
        return
    public = Identity(seed).public
    assert group["publicKey"] in (None, public.public_key.hex())
    for case in group["tests"]:
        context = bytes.fromhex(case.get("ctx", ""))
        if case["result"] == "invalid":
            with pytest.raises(ValueError, match="255"):
                Identity(seed).sign(bytes.fromhex(case["msg"]), context=context)
        elif "msg" in case:  # the others give only a digest of the message, which no public interface takes
            public.verify(bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]), context=context)


@pytest.mark.parametrize("case", _KEY_GROUPS[0]["tests"], ids=lambda case: case["tcId"])
def test_acvp_seeds_give_the_public_key(case: dict[str, Any]) -> None:
    assert Identity(bytes.fromhex(case["seed"])).public.public_key.hex().upper() == case["pk"]


@pytest.mark.parametrize("key", _OURS["keys"], ids=lambda key: key["note"])
def test_the_vectors_of_the_spec_give_key_names_and_derived_keys(key: dict[str, Any]) -> None:
    identity = Identity(bytes.fromhex(key["seed"]))
    assert identity.public.public_key.hex() == key["public_key"]
    assert identity.fingerprint.raw.hex() == key["fingerprint"]
    assert identity.peer_id.raw.hex() == key["peer_id"]
    for derived in key["derived"]:
        assert identity.derive(derived["label"].encode()).hex() == derived["key"]


@pytest.mark.parametrize("case", _OURS["signatures"], ids=lambda case: case["note"])
def test_the_signatures_of_the_spec_verify_or_are_refused_as_labelled(case: dict[str, Any]) -> None:
    accepted = verifies(
        Identity(bytes.fromhex(case["seed"])).public.public_key,
        bytes.fromhex(case["signature"]),
        bytes.fromhex(case["message"]),
        case["context"].encode(),
    )
    assert accepted == case["valid"]


def test_a_signature_verifies_under_its_key_message_and_context() -> None:
    signature = ALICE.sign(b"message", context=b"context")
    assert len(signature) == SIGNATURE_BYTES
    ALICE.public.verify(signature, b"message", context=b"context")


@pytest.mark.parametrize(
    ("signer", "message", "context"),
    [(BOB, b"message", b"context"), (ALICE, b"massage", b"context"), (ALICE, b"message", b"other"), (ALICE, b"", b"")],
)
def test_another_key_message_or_context_is_refused(signer: Identity, message: bytes, context: bytes) -> None:
    signature = signer.sign(message, context=context)
    with pytest.raises(BadSignature):
        ALICE.public.verify(signature, b"message", context=b"context")


def test_context_and_message_cannot_be_shifted_into_each_other() -> None:
    signature = ALICE.sign(b"message", context=b"context")
    with pytest.raises(BadSignature):
        ALICE.public.verify(signature, b"tmessage", context=b"contex")


def test_signing_is_hedged() -> None:
    assert ALICE.sign(b"message", context=b"") != ALICE.sign(b"message", context=b"")


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=100) | st.binary(min_size=SIGNATURE_BYTES, max_size=SIGNATURE_BYTES), st.binary(max_size=300))
def test_any_bytes_are_a_bad_signature(signature: bytes, context: bytes) -> None:
    with pytest.raises(BadSignature):
        ALICE.public.verify(signature, b"message", context=context)


def test_a_context_of_256_bytes_never_verifies() -> None:
    with pytest.raises(BadSignature):
        ALICE.public.verify(bytes(SIGNATURE_BYTES), b"message", context=bytes(256))


def test_our_own_code_cannot_sign_in_a_context_of_256_bytes() -> None:
    with pytest.raises(ValueError, match="255"):
        ALICE.sign(b"message", context=bytes(256))


@pytest.mark.parametrize("length", [0, 31, 2591, 2593])
def test_a_public_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(DecodeError, match="want 2592"):
        PublicIdentity(bytes(length))


def test_generated_identities_are_as_different_as_their_entropy() -> None:
    assert Identity.generate(lambda count: b"\7" * count).peer_id == Identity(b"\7" * 32).peer_id


def test_derived_keys_differ_by_label_and_by_identity() -> None:
    assert len({ALICE.derive(b"a"), ALICE.derive(b"b"), BOB.derive(b"a")}) == 3


def test_the_seed_is_neither_printed_nor_formatted() -> None:
    for text in (repr(ALICE), str(ALICE), f"{ALICE}", repr(ALICE.public)):
        assert ALICE.seed.hex() not in text
        assert repr(ALICE.seed)[2:-1] not in text
    assert "public_key" not in repr(ALICE.public)


def test_public_identities_are_equal_when_their_keys_are() -> None:
    assert PublicIdentity(ALICE.public.public_key) == ALICE.public
    assert hash(PublicIdentity(ALICE.public.public_key)) == hash(ALICE.public)


def verifies(public_key: bytes, signature: bytes, message: bytes, context: bytes) -> bool:
    try:
        PublicIdentity(public_key).verify(signature, message, context=context)
    except (BadSignature, DecodeError):
        return False
    return True
