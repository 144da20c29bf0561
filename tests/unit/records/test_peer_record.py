import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.identity.people import ALICE, BOB
from tests.unit.records.builders import NOW, private_record, public_record, signed_record

from shadowmesh.identity.keys import Identity
from shadowmesh.identity.names import PeerID
from shadowmesh.records.cose import Sign1
from shadowmesh.records.peer_record import (
    MAX_TTL_S,
    REVOKED_SEQUENCE,
    Lease,
    Mode,
    Operator,
    PeerRecord,
    RecordRefused,
    Refusal,
    SignedRecord,
    revocation,
)
from shadowmesh.wire import cbor
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError

_VECTORS = json.loads(Path("docs/spec/vectors/records.json").read_text())
_PROTECTED = bytes.fromhex("a1013831")


@st.composite
def _records(draw: st.DrawFn) -> PeerRecord:
    public = draw(st.booleans())
    twenty = st.binary(min_size=20, max_size=20)
    endpoints = st.lists(st.builds(Endpoint, st.ip_addresses(), st.integers(1, 65535)), max_size=4, unique=True)
    return private_record(
        sequence=draw(st.integers(0, 2**64 - 2)),
        issued_at=draw(st.integers(0, 2**40 - 1)),
        ttl_s=draw(st.integers(1, MAX_TTL_S)),
        wireguard_key=draw(st.binary(min_size=32, max_size=32)),
        mode=Mode.PUBLIC if public else Mode.PRIVATE,
        capabilities=draw(st.integers(0, 0xFFFF)),
        region=draw(st.integers(0, 255)),
        endpoints=tuple(draw(endpoints)) if public else (),
        home_relays=tuple(map(PeerID, draw(st.lists(twenty, max_size=3, unique=True)))),
        lease=draw(st.none() | st.builds(Lease, st.binary(min_size=4, max_size=4), st.integers(0, 2**63 - 1))),
        operator=draw(st.none() | st.builds(Operator, st.integers(1, 2**63 - 1), twenty, twenty)),
        min_suite=draw(st.integers(1, 0xFFFF)),
        flags=draw(st.integers(0, 0xFFFF)),
        unknown=draw(st.dictionaries(st.integers(13, 2**64 - 1), st.binary(max_size=9) | st.booleans(), max_size=3)),
    )


@settings(max_examples=60, deadline=None)
@given(_records())
def test_a_signed_record_comes_back_and_is_accepted(record: PeerRecord) -> None:
    signed = SignedRecord.decode(record.sign(ALICE).encoded)
    assert signed.record == record
    signed.accept(ALICE.peer_id, now=record.issued_at)


@settings(max_examples=30, deadline=None)
@given(_records())
def test_the_same_record_has_the_same_payload(record: PeerRecord) -> None:
    assert payload_of(record.sign(ALICE)) == payload_of(record.sign(ALICE))


@pytest.mark.parametrize("case", _VECTORS["accepted"], ids=lambda case: case["note"])
def test_the_records_of_the_spec_are_accepted_and_encoded_the_same(case: dict[str, Any]) -> None:
    signed = SignedRecord.decode(bytes.fromhex(case["record"]))
    accept(signed, case)
    assert signed.record_id.hex() == case["record_id"]
    assert fields_of(signed.record) == case["fields"]
    assert payload_of(signed.record.sign(Identity(b"\1" * 32))) == payload_of(signed)


@pytest.mark.parametrize("case", _VECTORS["refused"], ids=lambda case: case["note"])
def test_the_refused_records_of_the_spec_are_refused_for_the_same_reason(case: dict[str, Any]) -> None:
    signed = SignedRecord.decode(bytes.fromhex(case["record"]))
    with pytest.raises(RecordRefused) as refused:
        accept(signed, case)
    assert refused.value.reason is Refusal[case["reason"]]


@pytest.mark.parametrize("case", _VECTORS["envelopes_refused"], ids=lambda case: case["note"])
def test_the_malformed_envelopes_of_the_spec_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        SignedRecord.decode(bytes.fromhex(case["record"]))


@pytest.mark.parametrize("case", _VECTORS["payloads_refused"], ids=lambda case: case["note"])
def test_the_malformed_payloads_of_the_spec_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        decode_payload(bytes.fromhex(case["payload"]))


@pytest.mark.parametrize("case", _VECTORS["cbor_refused"], ids=lambda case: case["note"])
def test_a_payload_of_refused_cbor_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        decode_payload(bytes.fromhex(case["cbor"]))


def test_the_payload_of_the_spec_is_legal_before_it_is_changed() -> None:
    decode_payload(payload_of(signed_record()))


def test_every_truncation_is_refused() -> None:
    encoded = signed_record().encoded
    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            SignedRecord.decode(encoded[:length])


def test_a_change_of_any_byte_is_refused() -> None:
    # Every byte of head, small fields and signature edges; every 37th of the long key and signature.
    encoded = signed_record().encoded
    dense = set(range(40)) | set(range(2600, 2900)) | set(range(len(encoded) - 40, len(encoded)))
    for position in sorted(dense | set(range(0, len(encoded), 37))):
        changed = bytearray(encoded)
        changed[position] ^= 1 << position % 8
        assert refusal_of(bytes(changed)) is not None, f"byte {position}"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_edits_are_refused_by_a_typed_error(data: st.DataObject) -> None:
    encoded = signed_record().encoded
    start = data.draw(st.integers(0, len(encoded)))
    stop = data.draw(st.integers(start, min(len(encoded), start + 20)))
    inserted = data.draw(st.binary(max_size=20))
    changed = encoded[:start] + inserted + encoded[stop:]
    assert (refusal_of(changed) is None) == (changed == encoded)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        SignedRecord.decode(data)
    with pytest.raises(DecodeError):
        decode_payload(data)


def test_the_record_of_another_peer_is_refused() -> None:
    assert reason_of(signed_record(), wanted=BOB.peer_id) is Refusal.WRONG_PEER


def test_a_newer_record_replaces_an_older_one() -> None:
    older, newer = public_record(sequence=7).sign(ALICE), public_record(sequence=8).sign(ALICE)
    assert reason_of(newer, known=older) is None


def test_an_older_record_does_not_replace_a_newer_one() -> None:
    older, newer = public_record(sequence=7).sign(ALICE), public_record(sequence=8).sign(ALICE)
    assert reason_of(older, known=newer) is Refusal.STALE


def test_the_known_record_is_stale() -> None:
    assert reason_of(signed_record(), known=signed_record()) is Refusal.STALE


def test_another_record_with_the_same_sequence_is_equivocation() -> None:
    assert reason_of(public_record(region=9).sign(ALICE), known=signed_record()) is Refusal.EQUIVOCATION


def test_equivocation_cannot_be_pinned_on_a_peer_without_its_key() -> None:
    twin = public_record(region=9).sign(ALICE).encoded
    forged = SignedRecord.decode(twin[:-1] + bytes([twin[-1] ^ 1]))
    assert reason_of(forged, known=signed_record()) is Refusal.BAD_SIGNATURE


@pytest.mark.parametrize(("ahead_s", "reason"), [(0, None), (300, None), (301, Refusal.FROM_THE_FUTURE)])
def test_a_record_may_be_300_s_ahead(ahead_s: int, reason: Refusal | None) -> None:
    assert reason_of(signed_record(), now=NOW - ahead_s) is reason


@pytest.mark.parametrize(("age_s", "reason"), [(86399, None), (86399.9, None), (86400, Refusal.EXPIRED)])
def test_a_record_lives_as_long_as_its_ttl(age_s: float, reason: Refusal | None) -> None:
    assert reason_of(signed_record(), now=NOW + age_s) is reason


def test_a_record_signed_by_another_key_is_refused() -> None:
    envelope = Sign1.decode(signed_record().encoded, max_bytes=8192, what="test")
    foreign = BOB.sign(cbor.encode(["Signature1", _PROTECTED, b"shadowmesh/record/v1", envelope.payload]), context=b"")
    assert refusal_of(cbor.encode([_PROTECTED, {}, envelope.payload, foreign])) is Refusal.BAD_SIGNATURE


def test_cheap_rules_come_before_the_signature() -> None:
    broken = SignedRecord.decode(signed_record().encoded[:-1] + b"\0")
    assert reason_of(broken, wanted=BOB.peer_id) is Refusal.WRONG_PEER
    assert reason_of(broken, now=NOW + MAX_TTL_S) is Refusal.EXPIRED


def test_verify_asks_for_the_signature_alone() -> None:
    signed_record().verify()
    with pytest.raises(RecordRefused) as refused:
        SignedRecord.decode(signed_record().encoded[:-1] + b"\0").verify()
    assert refused.value.reason is Refusal.BAD_SIGNATURE


def test_a_revocation_is_accepted_and_is_the_last() -> None:
    last = revocation(public_record(), now=NOW).sign(ALICE)
    assert last.record.revoked
    assert reason_of(last, known=signed_record()) is None
    assert reason_of(public_record(sequence=REVOKED_SEQUENCE - 1).sign(ALICE), known=last) is Refusal.STALE


def test_a_revocation_says_nowhere_where_to_reach_the_peer() -> None:
    last = revocation(public_record(), now=NOW)
    assert not last.endpoints
    assert not last.home_relays


def test_an_identity_signs_its_own_record_only() -> None:
    with pytest.raises(ValueError, match="signed by the key that it describes"):
        private_record().sign(BOB)


@pytest.mark.parametrize(
    "changes",
    [
        {"sequence": -1},
        {"sequence": 2**64},
        {"ttl_s": 0},
        {"ttl_s": MAX_TTL_S + 1},
        {"wireguard_key": bytes(31)},
        {"region": 256},
        {"mode": Mode.PRIVATE},
        {"endpoints": tuple(Endpoint.of("192.0.2.1", port) for port in range(1, 6))},
        {"home_relays": (ALICE.peer_id,)},
        {"lease": Lease(bytes(16), 0)},
        {"operator": Operator(0, bytes(20), bytes(20))},
        {"unknown": {-1: 0}},
        {"unknown": {13: bytes(1000)}},
    ],
)
def test_our_own_code_cannot_sign_an_illegal_record(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - a DecodeError with the rule, or the encoder's word for 2^64
        public_record(**changes).sign(ALICE)


def test_a_record_holds_a_capability_that_we_do_not_know() -> None:
    assert SignedRecord.decode(public_record(capabilities=0x8001).sign(ALICE).encoded).record.capabilities == 0x8001


def test_the_largest_record_without_unknown_fields_fits() -> None:
    assert max(len(bytes.fromhex(case["record"])) for case in _VECTORS["accepted"]) < 7600


def test_neither_key_nor_record_is_printed() -> None:
    assert len(repr(signed_record())) < 2000


def accept(signed: SignedRecord, case: dict[str, Any]) -> None:
    known = None if case["known"] is None else SignedRecord.decode(bytes.fromhex(case["known"]))
    signed.accept(PeerID(bytes.fromhex(case["wanted"])), now=case["now"], known=known)


def reason_of(
    signed: SignedRecord, *, wanted: PeerID = ALICE.peer_id, now: float = NOW, known: SignedRecord | None = None
) -> Refusal | None:
    try:
        signed.accept(wanted, now=now, known=known)
    except RecordRefused as refused:
        return refused.reason
    return None


def refusal_of(data: bytes) -> Refusal | str | None:
    try:
        return reason_of(SignedRecord.decode(data))
    except DecodeError as error:
        return str(error)


def payload_of(signed: SignedRecord) -> bytes:
    return Sign1.decode(signed.encoded, max_bytes=8192, what="test").payload


def decode_payload(payload: bytes) -> SignedRecord:
    return SignedRecord.decode(cbor.encode([_PROTECTED, {}, payload, bytes(4627)]))


def fields_of(record: PeerRecord) -> dict[str, Any]:
    return {
        "sequence": record.sequence,
        "issued_at": record.issued_at,
        "ttl_s": record.ttl_s,
        "wireguard_key": record.wireguard_key.hex(),
        "mode": record.mode.name,
        "capabilities": record.capabilities,
        "region": record.region,
        "endpoints": [str(endpoint) for endpoint in record.endpoints],
        "home_relays": [relay.raw.hex() for relay in record.home_relays],
        "lease": record.lease and [record.lease.address.hex(), record.lease.sequence],
        "operator": record.operator
        and [record.operator.chain_id, record.operator.contract.hex(), record.operator.address.hex()],
        "min_suite": record.min_suite,
        "flags": record.flags,
        "unknown_keys": sorted(record.unknown),
        "revoked": record.revoked,
    }
