"""The directory: whom it takes, and what is refused and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from people import ALICE, BOB, CAROL, DAVE, NOW, Case

from shadowmesh.identity.keys import Identity
from shadowmesh.records.cose import MultiSigned
from shadowmesh.records.directory import DIRECTORY_AAD, BackboneNode, Directory
from shadowmesh.wire import cbor
from shadowmesh.wire.endpoint import Endpoint


def directory_vectors() -> Case:
    return {
        "external_aad": DIRECTORY_AAD.decode(),
        "accepted": list(accepted_directories()),
        "refused": list(refused_directories()),
        "payloads_refused": list(refused_directory_payloads()),
        "envelopes_refused": list(refused_directory_envelopes()),
    }


def directory_of(*identities: Identity) -> Directory:
    nodes = tuple(
        BackboneNode(
            identity.public, region, f"https://b{region}.example:8443", (Endpoint.of("192.0.2.1", 3478 + region),)
        )
        for region, identity in enumerate(identities, start=1)
    )
    return Directory(version=2, issued_at=NOW, expires_at=NOW + 7 * 86400, nodes=nodes)


def accepted_directories() -> Iterator[Case]:
    three = directory_of(ALICE, BOB, CAROL)
    for note, signed, trusted in (
        ("one pinned key", three.sign(ALICE), (ALICE,)),
        ("two of three", three.sign(ALICE, CAROL), (ALICE, BOB, CAROL)),
        (
            "three of four: a new node enters",
            directory_of(ALICE, BOB, CAROL, DAVE).sign(ALICE, BOB),
            (ALICE, BOB, CAROL),
        ),
    ):
        yield directory_case(note, signed.encoded, trusted) | {
            "fields": {
                "version": signed.directory.version,
                "issued_at": signed.directory.issued_at,
                "expires_at": signed.directory.expires_at,
                "nodes": [
                    [node.fingerprint.raw.hex(), node.region, node.url, [str(endpoint) for endpoint in node.stun]]
                    for node in signed.directory.nodes
                ],
            }
        }


def directory_case(note: str, encoded: bytes, trusted: tuple[Identity, ...], **more: Any) -> Case:
    return {
        "note": note,
        "now": NOW,
        "known_version": 1,
        "trusted": [identity.fingerprint.raw.hex() for identity in trusted],
        "directory": encoded.hex(),
    } | more


def refused_directories() -> Iterator[Case]:
    two = directory_of(ALICE, BOB)
    good = two.sign(ALICE, BOB)
    envelope = MultiSigned.decode(good.encoded, max_bytes=100_000, what="directory")
    swapped = replace(
        envelope, signatures=dict(zip(envelope.signatures, reversed(envelope.signatures.values()), strict=True))
    )
    long = replace(two, expires_at=NOW + 7 * 86400 + 1).sign(ALICE, BOB)
    few = "NOT_ENOUGH_SIGNATURES"
    both = (ALICE, BOB)
    yield directory_case("the version that is known", good.encoded, both, known_version=2, reason="OLDER")
    yield directory_case("a version before it", good.encoded, both, known_version=3, reason="OLDER")
    yield directory_case("expired this second", good.encoded, both, now=NOW + 7 * 86400, reason="EXPIRED")
    yield directory_case("a life of seven days and a second", long.encoded, both, reason="EXPIRED")
    yield directory_case("one of two", two.sign(ALICE).encoded, both, reason=few)
    yield directory_case("one of two, and a stranger", two.sign(ALICE, DAVE).encoded, both, reason=few)
    yield directory_case("a trusted key that is not listed", two.sign(ALICE, CAROL).encoded, (ALICE, CAROL), reason=few)
    yield directory_case("nobody is trusted", good.encoded, (), reason=few)
    yield directory_case("signatures under each other's key", swapped.encode(), both, reason=few)


def refused_directory_payloads() -> Iterator[Case]:
    def node(**change: Any) -> list[Any]:
        fields = {
            "key": ALICE.public.public_key,
            "region": 1,
            "url": "https://b1.example",
            "stun": [b"\1" * 18],
        } | change
        return list(fields.values())

    good: dict[Any, Any] = {0: 2, 1: NOW, 2: NOW + 86400, 3: [node()]}
    for note, change in (
        ("version 0", {0: 0}),
        ("version true", {0: True}),
        ("it expires when it is issued", {2: NOW}),
        ("no nodes", {3: []}),
        ("a node twice", {3: [node(), node()]}),
        ("a node of three items", {3: [node()[:3]]}),
        ("a key of another length", {3: [node(key=b"x")]}),
        ("region 256", {3: [node(region=256)]}),
        ("region true", {3: [node(region=True)]}),
        ("five STUN endpoints", {3: [node(stun=[b"\1" * 18] * 5)]}),
        ("a STUN endpoint with port 0", {3: [node(stun=[bytes(18)])]}),
        ("a URL with a path", {3: [node(url="https://b1.example/v1")]}),
        ("a URL with a user", {3: [node(url="https://me@b1.example")]}),
        ("a URL with a line break", {3: [node(url="https://b1.example\n")]}),
        ("a URL of another scheme", {3: [node(url="file:///etc/passwd")]}),
        ("a URL in upper case", {3: [node(url="https://B1.example")]}),
        ("a URL of 201 characters", {3: [node(url="https://" + "a" * 193)]}),
        ("an unknown field", {4: 0}),
        ("a critical field", {-1: 0}),
        ("a text key", {"x": 0}),
    ):
        yield {"note": note, "payload": cbor.encode(good | change).hex()}
    for key in good:
        rest = {other: value for other, value in good.items() if other != key}
        yield {"note": f"field {key} missing", "payload": cbor.encode(rest).hex()}


def refused_directory_envelopes() -> Iterator[Case]:
    good = cbor.decode(directory_of(ALICE, BOB).sign(ALICE, BOB).encoded, max_bytes=100_000, what="directory")
    protected, unprotected, payload, signers = good
    first, second = signers
    for note, items in (
        ("no signatures", [protected, unprotected, payload, []]),
        ("signatures in the wrong order", [protected, unprotected, payload, [second, first]]),
        ("a signature twice", [protected, unprotected, payload, [first, first]]),
        ("a body header", [cbor.encode({1: -50}), unprotected, payload, signers]),
        ("a signer of another algorithm", [protected, {}, payload, [[cbor.encode({1: -49}), *first[1:]]]]),
        ("a signer without name", [protected, {}, payload, [[first[0], {}, first[2]]]]),
        ("a signer with two headers", [protected, {}, payload, [[first[0], {4: first[1][4], 5: 0}, first[2]]]]),
        ("a name of 20 bytes", [protected, {}, payload, [[first[0], {4: first[1][4][:20]}, first[2]]]]),
        ("a signature cut short", [protected, {}, payload, [[first[0], first[1], first[2][:-1]]]]),
    ):
        yield {"note": note, "directory": cbor.encode(items).hex()}
