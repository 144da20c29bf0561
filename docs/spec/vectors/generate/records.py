"""The record: what is accepted, and what is refused and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from people import ALICE, BOB, CAROL, DAVE, NOW, Case

from shadowmesh.records.cose import Sign1, sign1
from shadowmesh.records.directory import DIRECTORY_AAD
from shadowmesh.records.peer_record import (
    RECORD_AAD,
    REVOKED_SEQUENCE,
    Capability,
    Lease,
    Mode,
    Operator,
    PeerRecord,
    revocation,
)
from shadowmesh.wire import cbor
from shadowmesh.wire.endpoint import Endpoint


def record_vectors() -> Case:
    return {
        "external_aad": RECORD_AAD.decode(),
        "accepted": list(accepted_records()),
        "refused": list(refused_records()),
        "envelopes_refused": list(refused_envelopes()),
        "payloads_refused": list(refused_payloads()),
        "cbor_refused": list(refused_cbor()),
    }


def private_record() -> PeerRecord:
    return PeerRecord(
        public=ALICE.public,
        sequence=1_800_000_000_123,
        issued_at=NOW,
        ttl_s=86400,
        wireguard_key=bytes(range(32)),
        region=3,
        home_relays=(BOB.peer_id, CAROL.peer_id),
    )


def public_record() -> PeerRecord:
    return replace(
        private_record(),
        ttl_s=21600,
        mode=Mode.PUBLIC,
        capabilities=Capability.DHT_SERVER | Capability.RELAY | Capability.AES_256_GCM,
        endpoints=(Endpoint.of("192.0.2.1", 41641), Endpoint.of("2001:db8::1", 443)),
        lease=Lease(IPv4Address("10.10.32.7").packed, 9),
        operator=Operator(80002, b"\xc0" * 20, b"\x0e" * 20),
        flags=0,
    )


def accepted_records() -> Iterator[Case]:
    private, public = private_record(), public_record()
    older = replace(private, sequence=private.sequence - 1).sign(ALICE)
    for note, record, known, now in (
        ("a PRIVATE node", private, None, NOW),
        ("a PUBLIC node with every field", public, None, NOW),
        ("the highest bounds", widest_record(), None, NOW),
        ("a field of a later version, kept", replace(private, unknown={13: "later", 24: [1, b"x"]}), None, NOW),
        ("a revocation", revocation(public, now=NOW), older, NOW),
        ("newer than the known one", private, older, NOW),
        ("300 s in the future", private, None, NOW - 300),
        ("in the last second of its life", private, None, NOW + 86399),
    ):
        signed = record.sign(ALICE)
        yield {
            "note": note,
            "now": now,
            "wanted": ALICE.peer_id.raw.hex(),
            "known": None if known is None else known.encoded.hex(),
            "record": signed.encoded.hex(),
            "record_id": signed.record_id.hex(),
            "fields": fields_of(record),
        }


def widest_record() -> PeerRecord:
    return replace(
        public_record(),
        sequence=2**64 - 2,
        issued_at=NOW,
        ttl_s=7 * 86400,
        capabilities=0xFFFF,
        region=255,
        endpoints=tuple(Endpoint.of("2001:db8::1", port) for port in (1, 2, 443, 65535)),
        home_relays=(BOB.peer_id, CAROL.peer_id, DAVE.peer_id),
        lease=Lease(b"\xff" * 4, 2**63 - 1),
        operator=Operator(2**63 - 1, b"\xff" * 20, b"\xff" * 20),
        min_suite=0xFFFF,
        flags=0xFFFF,
    )


def fields_of(record: PeerRecord) -> Case:
    return {
        "sequence": record.sequence,
        "issued_at": record.issued_at,
        "ttl_s": record.ttl_s,
        "wireguard_key": record.wireguard_key.hex(),
        "mode": record.mode.name,
        "capabilities": int(record.capabilities),
        "region": record.region,
        "endpoints": [str(endpoint) for endpoint in record.endpoints],
        "home_relays": [relay.raw.hex() for relay in record.home_relays],
        "lease": None if record.lease is None else [record.lease.address.hex(), record.lease.sequence],
        "operator": None
        if record.operator is None
        else [record.operator.chain_id, record.operator.contract.hex(), record.operator.address.hex()],
        "min_suite": record.min_suite,
        "flags": record.flags,
        "unknown_keys": sorted(record.unknown),
        "revoked": record.revoked,
    }


def refused_records() -> Iterator[Case]:
    record = private_record()
    signed = record.sign(ALICE)
    newer = replace(record, sequence=record.sequence + 1).sign(ALICE)
    twin = replace(record, region=4).sign(ALICE)
    last = revocation(record, now=NOW).sign(ALICE)
    payload = Sign1.decode(signed.encoded, max_bytes=8192, what="record").payload
    for note, candidate, wanted, known, now, reason in (
        ("another peer was asked for", signed.encoded, BOB, None, NOW, "WRONG_PEER"),
        ("older than the known one", signed.encoded, ALICE, newer, NOW, "STALE"),
        ("the known one", signed.encoded, ALICE, signed, NOW, "STALE"),
        ("after a revocation", signed.encoded, ALICE, last, NOW, "STALE"),
        ("same sequence, other content, good signature", twin.encoded, ALICE, signed, NOW, "EQUIVOCATION"),
        ("same sequence, bad signature", flip_last(twin.encoded), ALICE, signed, NOW, "BAD_SIGNATURE"),
        ("301 s in the future", signed.encoded, ALICE, None, NOW - 301, "FROM_THE_FUTURE"),
        ("expired this second", signed.encoded, ALICE, None, NOW + 86400, "EXPIRED"),
        ("one bit of the signature", flip_last(signed.encoded), ALICE, None, NOW, "BAD_SIGNATURE"),
        ("another key's signature", sign1(payload, BOB, external_aad=RECORD_AAD), ALICE, None, NOW, "BAD_SIGNATURE"),
        ("another domain", sign1(payload, ALICE, external_aad=DIRECTORY_AAD), ALICE, None, NOW, "BAD_SIGNATURE"),
        ("no domain", sign1(payload, ALICE, external_aad=b""), ALICE, None, NOW, "BAD_SIGNATURE"),
    ):
        yield {
            "note": note,
            "now": now,
            "wanted": wanted.peer_id.raw.hex(),
            "known": None if known is None else known.encoded.hex(),
            "record": candidate.hex(),
            "reason": reason,
        }


def flip_last(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def refused_envelopes() -> Iterator[Case]:
    signed = private_record().sign(ALICE).encoded
    protected, unprotected, payload, signature = cbor.decode(signed, max_bytes=8192, what="record")
    for note, data in (
        ("tag 18", b"\xd2" + signed),
        ("a byte behind it", signed + b"\0"),
        ("a byte short", signed[:-1]),
        ("an array without length", b"\x9f" + signed[1:] + b"\xff"),
        ("three items", cbor.encode([protected, unprotected, payload])),
        ("five items", cbor.encode([protected, unprotected, payload, signature, None])),
        ("another algorithm (ML-DSA-65)", cbor.encode([cbor.encode({1: -49}), {}, payload, signature])),
        ("a protected header more", cbor.encode([cbor.encode({1: -50, 4: b"x"}), {}, payload, signature])),
        ("an unprotected header", cbor.encode([protected, {4: b"x"}, payload, signature])),
        ("a detached payload", cbor.encode([protected, {}, None, signature])),
        ("a signature of 4,626 bytes", cbor.encode([protected, {}, payload, signature[:-1]])),
        ("8,193 bytes", cbor.encode([protected, {}, bytes(8193 - len(signed) + len(payload)), signature])),
    ):
        yield {"note": note, "record": data.hex()}


def refused_payloads() -> Iterator[Case]:
    good: dict[int, Any] = cbor.decode(payload_of(public_record()), max_bytes=8192, what="record")
    node, relay = [b"\xc0\0\2\1", 41641], BOB.peer_id.raw
    changes: list[tuple[str, dict[int, Any]]] = [
        ("version 2", {0: 2}),
        ("version true", {0: True}),
        ("a key of 2,591 bytes", {1: good[1][:-1]}),
        ("sequence -1", {2: -1}),
        ("a ttl of 0", {4: 0}),
        ("a ttl of seven days and a second", {4: 7 * 86400 + 1}),
        ("issued at 2^40", {3: 2**40}),
        ("a WireGuard key of 31 bytes", {5: bytes(31)}),
        ("mode 2", {6: [2, 0]}),
        ("mode true", {6: [True, 0]}),
        ("capabilities of 17 bits", {6: [1, 0x10000]}),
        ("region 256", {7: 256}),
        ("a PRIVATE node with an endpoint", {6: [0, 0]}),
        ("no endpoints, but the field", {8: []}),
        ("five endpoints", {8: [[b"\xc0\0\2\1", port] for port in range(1, 6)]}),
        ("an endpoint twice", {8: [node, node]}),
        ("port 0", {8: [[b"\xc0\0\2\1", 0]]}),
        ("port 65536", {8: [[b"\xc0\0\2\1", 65536]]}),
        ("an address of 5 bytes", {8: [[bytes(5), 1]]}),
        ("an IPv4 address written as IPv6", {8: [[bytes(10) + b"\xff\xff\xc0\0\2\1", 1]]}),
        ("an endpoint of three items", {8: [[*node, 0]]}),
        ("four home relays", {9: [bytes([number]) * 20 for number in range(4)]}),
        ("a home relay twice", {9: [relay, relay]}),
        ("the peer as its own home relay", {9: [ALICE.peer_id.raw]}),
        ("a home relay of 19 bytes", {9: [bytes(19)]}),
        ("a lease number of true", {10: [bytes(4), True]}),
        ("a lease of an IPv6 address", {10: [bytes(16), 1]}),
        ("chain 0", {11: [0, bytes(20), bytes(20)]}),
        ("an operator of 19 bytes", {11: [1, bytes(20), bytes(19)]}),
        ("suite 0", {12: [0, 0]}),
        ("a critical field", {-1: None}),
        ("a text key", {"name": "alice"}),  # type: ignore[dict-item]
        ("a revocation with endpoints", {2: REVOKED_SEQUENCE}),
    ]
    for note, change in changes:
        yield {"note": note, "payload": cbor.encode(good | change).hex()}
    for key in (0, 1, 2, 3, 4, 5, 6, 7, 12):
        rest = {other: value for other, value in good.items() if other != key}
        yield {"note": f"field {key} missing", "payload": cbor.encode(rest).hex()}
    yield {"note": "not a map", "payload": cbor.encode(list(good.values())).hex()}


def payload_of(record: PeerRecord) -> bytes:
    return Sign1.decode(record.sign(ALICE).encoded, max_bytes=8192, what="record").payload


def refused_cbor() -> Iterator[Case]:
    for encoded, note, reason in (
        ("1817", "23 in two bytes", "NOT_CANONICAL"),
        ("580100", "a length in two bytes", "NOT_CANONICAL"),
        ("9f01ff", "an array without length", "NOT_CANONICAL"),
        ("5f4101ff", "bytes in pieces", "NOT_CANONICAL"),
        ("a201000000", "keys in the wrong order", "NOT_CANONICAL"),
        ("a22000186400", "keys in the order of RFC 7049: the shorter first", "NOT_CANONICAL"),
        ("a201000100", "a key twice", "MALFORMED"),
        ("a1f500", "true as a key", "MALFORMED"),
        ("a14000", "bytes as a key", "MALFORMED"),
        ("f93c00", "a float", "MALFORMED"),
        ("f7", "undefined", "MALFORMED"),
        ("c11a514b67b0", "a tag", "MALFORMED"),
        ("c249010000000000000000", "a bignum", "MALFORMED"),
        ("61ff", "text that is not UTF-8", "MALFORMED"),
        ("818181818181818180", "nine levels", "MALFORMED"),
        ("0000", "two items", "MALFORMED"),
        ("8200", "cut short", "MALFORMED"),
    ):
        yield {"note": note, "cbor": encoded, "reason": reason}
