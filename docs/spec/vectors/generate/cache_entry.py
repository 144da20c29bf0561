"""The 96 bytes of a cache entry."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from people import ALICE, BOB, NOW, Case

from shadowmesh.records.cache_entry import CacheEntry, PathKind
from shadowmesh.wire.endpoint import Endpoint


def cache_entry_vectors() -> Case:
    full = CacheEntry(
        fingerprint=ALICE.fingerprint,
        record_id=b"\x11" * 8,
        sequence=2**48 - 1,
        endpoint=Endpoint.of("192.0.2.1", 41641),
        home_relay=BOB.peer_id.raw[:8],
        expires_at=NOW,
        last_ok_at=NOW - 60,
        rtt_ms=23,
        capabilities=0x8B,
        region=3,
        path_kind=PathKind.RELAY,
        failures=2,
        ipv4=IPv4Address("10.10.32.7"),
    )
    empty = CacheEntry(ALICE.fingerprint)
    six = replace(full, endpoint=Endpoint.of("2001:db8::1", 443), path_kind=PathKind.DIRECT, ipv4=None)
    encoded = full.encode()
    refused = [
        ("95 bytes", encoded[:-1]),
        ("97 bytes", encoded + b"\0"),
        ("path kind 3", encoded[:84] + b"\3" + encoded[85:]),
        ("a reserved byte", encoded[:-1] + b"\1"),
        ("an endpoint with port 0", encoded[:62] + b"\0\0" + encoded[64:]),
    ]
    return {
        "accepted": [
            {"note": note, "entry": entry.encode().hex(), "fields": entry_fields(entry)}
            for note, entry in (("every field", full), ("a fingerprint alone", empty), ("an IPv6 endpoint", six))
        ],
        "refused": [{"note": note, "entry": data.hex()} for note, data in refused],
    }


def entry_fields(entry: CacheEntry) -> Case:
    return {
        "fingerprint": entry.fingerprint.raw.hex(),
        "record_id": entry.record_id.hex(),
        "sequence": entry.sequence,
        "endpoint": None if entry.endpoint is None else str(entry.endpoint),
        "home_relay": entry.home_relay.hex(),
        "expires_at": entry.expires_at,
        "last_ok_at": entry.last_ok_at,
        "rtt_ms": entry.rtt_ms,
        "capabilities": entry.capabilities,
        "region": entry.region,
        "path_kind": entry.path_kind.name,
        "failures": entry.failures,
        "ipv4": None if entry.ipv4 is None else str(entry.ipv4),
    }
