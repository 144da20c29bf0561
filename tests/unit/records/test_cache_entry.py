import json
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.identity.people import ALICE

from shadowmesh.identity.names import Fingerprint
from shadowmesh.records.cache_entry import CACHE_ENTRY_BYTES, CacheEntry, PathKind
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError

_VECTORS = json.loads(Path("docs/spec/vectors/cache_entry.json").read_text())
_EIGHT = st.binary(min_size=8, max_size=8)
_ENTRIES = st.builds(
    CacheEntry,
    fingerprint=st.binary(min_size=32, max_size=32).map(Fingerprint),
    record_id=_EIGHT,
    sequence=st.integers(0, 2**48 - 1),
    endpoint=st.none() | st.builds(Endpoint, st.ip_addresses(), st.integers(1, 65535)),
    home_relay=_EIGHT,
    expires_at=st.integers(0, 2**32 - 1),
    last_ok_at=st.integers(0, 2**32 - 1),
    rtt_ms=st.integers(0, 2**16 - 1),
    capabilities=st.integers(0, 255),
    region=st.integers(0, 255),
    path_kind=st.sampled_from(PathKind),
    failures=st.integers(0, 255),
    ipv4=st.none() | st.integers(1, 2**32 - 1).map(IPv4Address),
)


@given(_ENTRIES)
def test_an_entry_comes_back_from_96_bytes(entry: CacheEntry) -> None:
    assert len(entry.encode()) == CACHE_ENTRY_BYTES
    assert CacheEntry.decode(entry.encode()) == entry


@given(st.binary(min_size=90, max_size=90))
def test_any_96_bytes_are_an_entry_of_just_these_bytes_or_refused(data: bytes) -> None:
    data += bytes(6)
    try:
        assert CacheEntry.decode(data).encode() == data
    except DecodeError:
        return


@given(st.binary(max_size=200).filter(lambda data: len(data) != CACHE_ENTRY_BYTES))
def test_another_length_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError, match="want 96"):
        CacheEntry.decode(data)


@pytest.mark.parametrize("case", _VECTORS["accepted"], ids=lambda case: case["note"])
def test_the_entries_of_the_spec_are_read_and_written(case: dict[str, Any]) -> None:
    entry = CacheEntry.decode(bytes.fromhex(case["entry"]))
    assert entry.encode().hex() == case["entry"]
    assert case["fields"] == {
        "fingerprint": entry.fingerprint.raw.hex(),
        "record_id": entry.record_id.hex(),
        "sequence": entry.sequence,
        "endpoint": entry.endpoint and str(entry.endpoint),
        "home_relay": entry.home_relay.hex(),
        "expires_at": entry.expires_at,
        "last_ok_at": entry.last_ok_at,
        "rtt_ms": entry.rtt_ms,
        "capabilities": entry.capabilities,
        "region": entry.region,
        "path_kind": entry.path_kind.name,
        "failures": entry.failures,
        "ipv4": entry.ipv4 and str(entry.ipv4),
    }


@pytest.mark.parametrize("case", _VECTORS["refused"], ids=lambda case: case["note"])
def test_the_refused_entries_of_the_spec_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        CacheEntry.decode(bytes.fromhex(case["entry"]))


def test_numbers_that_are_too_large_are_written_as_the_largest() -> None:
    entry = CacheEntry(ALICE.fingerprint, expires_at=2**40, last_ok_at=2**40, rtt_ms=10**6, failures=1000)
    back = CacheEntry.decode(entry.encode())
    assert (back.expires_at, back.last_ok_at) == (2**32 - 1, 2**32 - 1)
    assert (back.rtt_ms, back.failures) == (2**16 - 1, 255)


def test_of_a_sequence_number_the_low_48_bits_are_kept() -> None:
    assert CacheEntry.decode(CacheEntry(ALICE.fingerprint, sequence=2**64 - 1).encode()).sequence == 2**48 - 1


@pytest.mark.parametrize("length", [0, 7, 9, 32])
def test_our_own_code_cannot_shorten_an_id_in_passing(length: int) -> None:
    entry = CacheEntry(ALICE.fingerprint)
    for misshapen in (replace(entry, record_id=bytes(length)), replace(entry, home_relay=bytes(length))):
        with pytest.raises(ValueError, match="8 bytes"):
            misshapen.encode()
