import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.session.session_vectors import PATH, build

from shadowmesh.identity.keys import Identity
from shadowmesh.identity.names import Fingerprint
from shadowmesh.records.peer_record import Capability
from shadowmesh.session import keys
from shadowmesh.session.cipher import Cipher
from shadowmesh.session.drops import Dropped
from shadowmesh.session.events import DropReason
from shadowmesh.session.keys import FinalKeys, Side
from shadowmesh.session.messages import WITH_RECORD, WITHOUT_RECORD, Claim

SECRET, TRANSCRIPT = b"s" * 32, b"t" * 32
CLAIM = Claim(b"recordid", 7, b"w" * 32, Capability.AES_256_GCM)
LOW, HIGH = Side(Fingerprint(b"\1" * 32), CLAIM), Side(Fingerprint(b"\2" * 32), replace(CLAIM, wireguard_key=b"v" * 32))
WITHOUT_AES = replace(CLAIM, capabilities=0)


def test_the_transcript_depends_on_whom_message1_is_for() -> None:
    assert keys.transcript1(LOW.fingerprint, b"m") != keys.transcript1(HIGH.fingerprint, b"m")


def test_no_two_keys_of_an_exchange_are_equal() -> None:
    final = FinalKeys.derive(SECRET, TRANSCRIPT, LOW, HIGH)
    all_keys = [
        keys.key2(SECRET, TRANSCRIPT),
        keys.key3(SECRET, TRANSCRIPT, WITH_RECORD),
        keys.key3(SECRET, TRANSCRIPT, WITHOUT_RECORD),
        final.key4,
        final.finished,
        final.psk,
        final.probe_key,
    ]
    assert len(set(all_keys)) == len(all_keys)
    assert {len(key) for key in all_keys} == {32}


def test_both_roles_derive_the_same_keys() -> None:
    assert FinalKeys.derive(SECRET, TRANSCRIPT, LOW, HIGH) == FinalKeys.derive(SECRET, TRANSCRIPT, HIGH, LOW)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (replace(LOW, claim=HIGH.claim), replace(HIGH, claim=LOW.claim)),
        (replace(LOW, claim=replace(CLAIM, wireguard_key=b"x" * 32)), HIGH),
        (LOW, replace(HIGH, claim=replace(CLAIM, wireguard_key=b"x" * 32))),
        (replace(LOW, fingerprint=Fingerprint(b"\3" * 32)), HIGH),
    ],
)
def test_the_psk_and_the_probe_key_bind_both_names_and_both_wireguard_keys(first: Side, second: Side) -> None:
    genuine, other = (
        FinalKeys.derive(SECRET, TRANSCRIPT, LOW, HIGH),
        FinalKeys.derive(SECRET, TRANSCRIPT, first, second),
    )
    assert genuine.psk != other.psk
    assert genuine.probe_key != other.probe_key


@pytest.mark.parametrize(
    ("first", "second"),
    [(replace(LOW, claim=WITHOUT_AES), HIGH), (LOW, replace(HIGH, claim=replace(HIGH.claim, capabilities=0)))],
)
def test_the_psk_of_one_cipher_is_not_that_of_the_other(first: Side, second: Side) -> None:
    aes, chacha = FinalKeys.derive(SECRET, TRANSCRIPT, LOW, HIGH), FinalKeys.derive(SECRET, TRANSCRIPT, first, second)
    assert (aes.cipher, chacha.cipher) == (Cipher.AES_256_GCM, Cipher.CHACHA20_POLY1305)
    assert aes.psk != chacha.psk
    assert aes.probe_key == chacha.probe_key


def test_what_is_signed_differs_in_every_part_that_differs() -> None:
    a, b = LOW.fingerprint, HIGH.fingerprint
    other_claim = replace(CLAIM, wireguard_key=b"x" * 32)
    statements = [
        keys.responder_statement(TRANSCRIPT, a, CLAIM),
        keys.responder_statement(SECRET, a, CLAIM),
        keys.responder_statement(TRANSCRIPT, b, CLAIM),
        keys.responder_statement(TRANSCRIPT, a, other_claim),
        keys.responder_statement(TRANSCRIPT, a, WITHOUT_AES),
        keys.initiator_statement(TRANSCRIPT, a, b, CLAIM, b"w" * 32),
        keys.initiator_statement(TRANSCRIPT, b, a, CLAIM, b"w" * 32),
        keys.initiator_statement(TRANSCRIPT, a, b, CLAIM, b"v" * 32),
        keys.initiator_statement(TRANSCRIPT, a, b, other_claim, b"w" * 32),
        keys.initiator_statement(TRANSCRIPT, a, b, WITHOUT_AES, b"w" * 32),
    ]
    assert len(set(statements)) == len(statements)
    assert keys.RESPONDER_CONTEXT != keys.INITIATOR_CONTEXT


def test_sealed_bytes_open_with_the_same_key_and_transcript_only() -> None:
    sealed = keys.seal(SECRET, TRANSCRIPT, b"plain")
    assert keys.open_sealed(SECRET, TRANSCRIPT, sealed) == b"plain"
    for key, transcript, data in [
        (TRANSCRIPT, TRANSCRIPT, sealed),
        (SECRET, SECRET, sealed),
        (SECRET, TRANSCRIPT, sealed[:-1] + bytes([sealed[-1] ^ 1])),
    ]:
        with pytest.raises(Dropped) as dropped:
            keys.open_sealed(key, transcript, data)
        assert dropped.value.reason is DropReason.UNDECRYPTABLE


def test_keys_are_not_printed() -> None:
    final = FinalKeys.derive(SECRET, TRANSCRIPT, LOW, HIGH)
    assert repr(final) == "FinalKeys(cipher=<Cipher.AES_256_GCM: 'aes256gcm'>)"


def test_the_vectors_are_what_the_code_makes() -> None:
    assert json.loads(PATH.read_text()) == build()


def test_the_key_schedule_is_that_of_the_spec() -> None:
    """The formulas of docs/spec/session.md, section 5, written out once more with nothing but HMAC and SHA-256."""
    vector = {name: bytes.fromhex(text) for name, text in _key_schedule().items() if isinstance(text, str)}
    ids_and_keys = b"\xa0" * 20 + b"\xb0" * 20 + b"\xa1" * 32 + b"\xb1" * 32
    for name, transcript, info in [
        ("k2", "h2", b"shadowmesh/v1/session/k2"),
        ("k3", "h3", b"shadowmesh/v1/session/k3"),
        ("k3_record", "h3", b"shadowmesh/v1/session/k3/record"),
        ("k4", "h4", b"shadowmesh/v1/session/k4"),
        ("psk", "h4", b"shadowmesh/v1/psk/aes256gcm" + ids_and_keys),
        ("psk_without_aes_of_responder", "h4", b"shadowmesh/v1/psk/chacha20poly1305" + ids_and_keys),
        ("probe_key", "h4", b"shadowmesh/v1/probe" + ids_and_keys),
    ]:
        assert vector[name] == _hkdf(vector["shared_secret"], vector[transcript], info), name
    finished_key = _hkdf(vector["shared_secret"], vector["h4"], b"shadowmesh/v1/session/finished")
    assert vector["finished"] == hmac.digest(finished_key, vector["h4"], "sha256")
    assert vector["responder_statement"] == vector["h2"] + b"\1\0\1" + b"\xa0" * 32 + vector["claim"]
    both = b"\xb0" * 32 + b"\xa0" * 32
    assert vector["initiator_statement"] == vector["h3"] + b"\1\0\1" + both + vector["claim"] + b"\xa1" * 32


def test_the_first_transcript_is_that_of_the_spec() -> None:
    vector = json.loads(PATH.read_text())["message1"]
    public_key = Identity(bytes.fromhex(vector["responder_seed"])).public.public_key
    start = b"shadowmesh/v1/session\1\0\1" + hashlib.sha256(public_key).digest()
    assert hashlib.sha256(start + bytes.fromhex(vector["message"])).hexdigest() == vector["h1"]


def _key_schedule() -> dict[str, Any]:
    vectors: dict[str, Any] = json.loads(PATH.read_text())["key_schedule"]
    return vectors


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return hmac.digest(hmac.digest(salt, secret, "sha256"), info + b"\1", "sha256")
