import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.identity.people import ALICE, BOB, CAROL, identity
from tests.unit.records.builders import NOW

from shadowmesh.identity.keys import Identity
from shadowmesh.identity.names import Fingerprint
from shadowmesh.records.directory import (
    MAX_BACKBONE_NODES,
    MAX_DIRECTORY_AGE_S,
    MAX_DIRECTORY_BYTES,
    BackboneNode,
    Directory,
    DirectoryRefusal,
    DirectoryRefused,
    SignedDirectory,
)
from shadowmesh.wire import cbor
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError

_VECTORS = json.loads(Path("docs/spec/vectors/directory.json").read_text())
_PROTECTED = bytes.fromhex("a1013831")
_FEW = DirectoryRefusal.NOT_ENOUGH_SIGNATURES


@pytest.mark.parametrize("case", _VECTORS["accepted"], ids=lambda case: case["note"])
def test_the_directories_of_the_spec_are_accepted(case: dict[str, Any]) -> None:
    signed = SignedDirectory.decode(bytes.fromhex(case["directory"]))
    accept(signed, case)
    directory = signed.directory
    assert case["fields"] == {
        "version": directory.version,
        "issued_at": directory.issued_at,
        "expires_at": directory.expires_at,
        "nodes": [
            [node.fingerprint.raw.hex(), node.region, node.url, [str(endpoint) for endpoint in node.stun]]
            for node in directory.nodes
        ],
    }


@pytest.mark.parametrize("case", _VECTORS["refused"], ids=lambda case: case["note"])
def test_the_refused_directories_of_the_spec_are_refused_for_the_same_reason(case: dict[str, Any]) -> None:
    signed = SignedDirectory.decode(bytes.fromhex(case["directory"]))
    with pytest.raises(DirectoryRefused) as refused:
        accept(signed, case)
    assert refused.value.reason is DirectoryRefusal[case["reason"]]


@pytest.mark.parametrize("case", _VECTORS["payloads_refused"], ids=lambda case: case["note"])
def test_the_malformed_payloads_of_the_spec_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        decode_payload(bytes.fromhex(case["payload"]))


@pytest.mark.parametrize("case", _VECTORS["envelopes_refused"], ids=lambda case: case["note"])
def test_the_malformed_envelopes_of_the_spec_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        SignedDirectory.decode(bytes.fromhex(case["directory"]))


def test_a_signed_directory_comes_back() -> None:
    signed = directory_of(ALICE, BOB).sign(ALICE)
    assert SignedDirectory.decode(signed.encoded).directory == directory_of(ALICE, BOB)


def test_more_than_half_of_the_trusted_keys_must_sign() -> None:
    five = [ALICE, BOB, CAROL, identity(4), identity(5)]
    directory = directory_of(*five)
    assert reason_of(directory.sign(*five[:2]), trusted=five) is _FEW
    assert reason_of(directory.sign(*five[:3]), trusted=five) is None


def test_half_of_the_trusted_keys_is_not_a_majority() -> None:
    assert reason_of(directory_of(ALICE, BOB).sign(BOB), trusted=[ALICE, BOB]) is _FEW


def test_the_signatures_of_strangers_do_not_count() -> None:
    strangers = [identity(number) for number in (4, 5, 6)]
    signed = directory_of(ALICE, *strangers).sign(ALICE, *strangers)
    assert reason_of(signed, trusted=[ALICE, BOB, CAROL]) is _FEW


def test_a_trusted_key_counts_once_however_often_it_is_trusted() -> None:
    assert reason_of(directory_of(ALICE, BOB).sign(ALICE), trusted=[ALICE, ALICE, BOB]) is _FEW
    assert reason_of(directory_of(ALICE, BOB).sign(ALICE, BOB), trusted=[ALICE, ALICE, ALICE, BOB]) is None


def test_nothing_is_believed_when_nobody_is_trusted() -> None:
    assert reason_of(directory_of(ALICE).sign(ALICE), trusted=[]) is _FEW


def test_trust_moves_to_new_keys_by_steps_of_a_minority() -> None:
    first, second = [ALICE, BOB, CAROL], [BOB, CAROL, identity(4)]
    assert reason_of(directory_of(*second, version=3).sign(BOB, CAROL), trusted=first) is None
    third = [CAROL, identity(4), identity(5)]
    assert reason_of(directory_of(*third, version=4).sign(CAROL, identity(4)), trusted=second) is None
    assert reason_of(directory_of(*third, version=4).sign(CAROL, identity(4)), trusted=first) is _FEW


@pytest.mark.parametrize(("known", "reason"), [(1, None), (2, DirectoryRefusal.OLDER), (3, DirectoryRefusal.OLDER)])
def test_a_version_never_goes_back(known: int, reason: DirectoryRefusal | None) -> None:
    assert reason_of(signed_directory(), known_version=known) is reason


@pytest.mark.parametrize(("age_s", "reason"), [(0, None), (3599, None), (3600, DirectoryRefusal.EXPIRED)])
def test_a_directory_expires(age_s: int, reason: DirectoryRefusal | None) -> None:
    assert reason_of(signed_directory(), now=NOW + age_s) is reason


@pytest.mark.parametrize(("more_s", "reason"), [(0, None), (1, DirectoryRefusal.EXPIRED)])
def test_a_directory_lives_seven_days_at_most(more_s: int, reason: DirectoryRefusal | None) -> None:
    directory = directory_of(ALICE, expires_at=NOW + MAX_DIRECTORY_AGE_S + more_s)
    assert reason_of(directory.sign(ALICE)) is reason


def test_a_clock_that_starts_in_1970_does_not_keep_a_directory_out() -> None:
    assert reason_of(signed_directory(), now=0) is None


def test_a_backbone_node_adds_its_signature_to_one_that_it_received() -> None:
    received = SignedDirectory.decode(directory_of(ALICE, BOB).sign(ALICE).encoded)
    assert reason_of(received, trusted=[ALICE, BOB]) is _FEW
    assert reason_of(received.signed_also_by(BOB), trusted=[ALICE, BOB]) is None


def test_the_largest_directory_fits() -> None:
    url = "https://" + "a" * 192
    stun = tuple(Endpoint.of("2001:db8::1", port) for port in range(1, 5))
    nodes = [[number.to_bytes(2592, "big"), 255, url, [e.encode() for e in stun]] for number in range(64)]
    payload = cbor.encode({0: 2**63 - 1, 1: NOW, 2: NOW + 1, 3: nodes})
    signers = [[_PROTECTED, {4: bytes([number]) * 32}, bytes(4627)] for number in range(64)]
    encoded = cbor.encode([b"", {}, payload, signers])
    assert len(SignedDirectory.decode(encoded).directory.nodes) == MAX_BACKBONE_NODES
    assert len(encoded) < MAX_DIRECTORY_BYTES


def test_65_nodes_are_refused() -> None:
    nodes = [[number.to_bytes(2592, "big"), 1, "https://b.example", []] for number in range(65)]
    with pytest.raises(DecodeError):
        decode_payload(cbor.encode({0: 2, 1: NOW, 2: NOW + 1, 3: nodes}))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "https://[2001:db8::1]:443", "https://b-1.example", "http://b"]
)
def test_host_and_port_are_a_url(url: str) -> None:
    directory = directory_of(ALICE)
    node = replace(directory.nodes[0], url=url)
    assert replace(directory, nodes=(node,)).sign(ALICE).directory.nodes[0].url == url


@pytest.mark.parametrize("changes", [{"version": 0}, {"version": 2**64}, {"expires_at": NOW}, {"nodes": ()}])
def test_our_own_code_cannot_sign_an_illegal_directory(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - a DecodeError with the rule, or the encoder's word for 2^64
        replace(directory_of(ALICE), **changes).sign(ALICE)


def test_a_directory_that_nobody_signs_is_an_error_of_ours() -> None:
    with pytest.raises(DecodeError, match="0 signatures"):
        directory_of(ALICE).sign()


def test_every_truncation_is_refused() -> None:
    encoded = signed_directory().encoded
    for length in range(0, len(encoded), 11):
        with pytest.raises(DecodeError):
            SignedDirectory.decode(encoded[:length])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_edits_are_refused_by_a_typed_error(data: st.DataObject) -> None:
    encoded = signed_directory().encoded
    start = data.draw(st.integers(0, len(encoded)))
    stop = data.draw(st.integers(start, min(len(encoded), start + 20)))
    changed = encoded[:start] + data.draw(st.binary(max_size=20)) + encoded[stop:]
    try:
        accepted = reason_of(SignedDirectory.decode(changed)) is None
    except DecodeError:
        accepted = False
    assert accepted == (changed == encoded)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        SignedDirectory.decode(data)
    with pytest.raises(DecodeError):
        decode_payload(data)


def directory_of(*identities: Identity, version: int = 2, expires_at: int = NOW + 3600) -> Directory:
    nodes = tuple(
        BackboneNode(each.public, region, f"https://b{region}.example", (Endpoint.of("192.0.2.1", 3478),))
        for region, each in enumerate(identities, start=1)
    )
    return Directory(version, NOW, expires_at, nodes)


@cache
def signed_directory() -> SignedDirectory:
    return directory_of(ALICE, BOB).sign(ALICE)


def reason_of(
    signed: SignedDirectory, *, trusted: list[Identity] | None = None, now: float = NOW, known_version: int = 1
) -> DirectoryRefusal | None:
    fingerprints = [each.fingerprint for each in ([ALICE] if trusted is None else trusted)]
    try:
        signed.accept(fingerprints, now=now, known_version=known_version)
    except DirectoryRefused as refused:
        return refused.reason
    return None


def accept(signed: SignedDirectory, case: dict[str, Any]) -> None:
    trusted = [Fingerprint(bytes.fromhex(each)) for each in case["trusted"]]
    signed.accept(trusted, now=case["now"], known_version=case["known_version"])


def decode_payload(payload: bytes) -> SignedDirectory:
    signer = [_PROTECTED, {4: bytes(32)}, bytes(4627)]
    return SignedDirectory.decode(cbor.encode([b"", {}, payload, [signer]]))
