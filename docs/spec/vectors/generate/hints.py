"""Hints."""

from __future__ import annotations

from typing import Any

from people import BOB, NOW, Case

from shadowmesh.records.hints import Hints
from shadowmesh.wire import cbor
from shadowmesh.wire.endpoint import Endpoint


def hints_vectors() -> Case:
    four = tuple(Endpoint.of("2001:db8::1", port) for port in (1, 2, 443, 65535))
    accepted = [
        ("online, nothing more", Hints(online=True, last_seen_at=NOW)),
        ("offline, with a relay", Hints(online=False, last_seen_at=NOW, relay=BOB.peer_id)),
        ("as large as it gets", Hints(online=True, last_seen_at=2**40 - 1, endpoints=four, relay=BOB.peer_id)),
        ("an IPv4 endpoint", Hints(online=True, last_seen_at=NOW, endpoints=(Endpoint.of("192.0.2.1", 41641),))),
    ]
    refused: list[tuple[str, Any]] = [
        ("not a map", [True, NOW]),
        ("online missing", {1: NOW}),
        ("last seen missing", {0: True}),
        ("online as a number", {0: 1, 1: NOW}),
        ("last seen as true", {0: True, 1: True}),
        ("last seen before 1970", {0: True, 1: -1}),
        ("last seen at 2^40", {0: True, 1: 2**40}),
        ("no endpoints, but the field", {0: True, 1: NOW, 2: []}),
        ("five endpoints", {0: True, 1: NOW, 2: [four[0].encode()] * 5}),
        ("an endpoint of 17 bytes", {0: True, 1: NOW, 2: [bytes(17)]}),
        ("an endpoint with port 0", {0: True, 1: NOW, 2: [bytes(18)]}),
        ("a relay of 19 bytes", {0: True, 1: NOW, 3: bytes(19)}),
        ("a relay of null", {0: True, 1: NOW, 3: None}),
        ("a critical field", {-1: 0, 0: True, 1: NOW}),
        ("a text key", {0: True, 1: NOW, "x": 0}),
        ("201 bytes", {0: True, 1: NOW, 4: bytes(201 - 12)}),
    ]
    return {
        "accepted": [
            {
                "note": note,
                "hints": hints.encode().hex(),
                "fields": {
                    "online": hints.online,
                    "last_seen_at": hints.last_seen_at,
                    "endpoints": [str(endpoint) for endpoint in hints.endpoints],
                    "relay": None if hints.relay is None else hints.relay.raw.hex(),
                },
            }
            for note, hints in accepted
        ],
        "accepted_with_unknown_fields": [cbor.encode({0: True, 1: NOW, 4: "later", 100: [1]}).hex()],
        "refused": [{"note": note, "hints": cbor.encode(value).hex()} for note, value in refused],
    }
