import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.identity.names import PeerID
from shadowmesh.records.hints import MAX_HINTS_BYTES, Hints
from shadowmesh.wire import cbor
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError

_VECTORS = json.loads(Path("docs/spec/vectors/hints.json").read_text())
_HINTS = st.builds(
    Hints,
    online=st.booleans(),
    last_seen_at=st.integers(0, 2**40 - 1),
    endpoints=st.lists(st.builds(Endpoint, st.ip_addresses(), st.integers(1, 65535)), max_size=4).map(tuple),
    relay=st.none() | st.binary(min_size=20, max_size=20).map(PeerID),
)


@given(_HINTS)
def test_hints_come_back_from_at_most_119_bytes(hints: Hints) -> None:
    assert Hints.decode(hints.encode()) == hints
    assert len(hints.encode()) <= 119 < MAX_HINTS_BYTES


@given(_HINTS)
def test_every_truncation_is_refused(hints: Hints) -> None:
    encoded = hints.encode()
    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            Hints.decode(encoded[:length])


@given(_HINTS, st.data())
def test_a_changed_byte_is_refused_or_means_something_else(hints: Hints, data: st.DataObject) -> None:
    changed = bytearray(hints.encode())
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        assert Hints.decode(bytes(changed)) != hints
    except DecodeError:
        return


@given(st.binary(max_size=250))
def test_any_bytes_are_hints_or_refused(data: bytes) -> None:
    try:
        Hints.decode(data)
    except DecodeError:
        return


@pytest.mark.parametrize("case", _VECTORS["accepted"], ids=lambda case: case["note"])
def test_the_hints_of_the_spec_are_read_and_written(case: dict[str, Any]) -> None:
    hints = Hints.decode(bytes.fromhex(case["hints"]))
    assert hints.encode().hex() == case["hints"]
    assert case["fields"] == {
        "online": hints.online,
        "last_seen_at": hints.last_seen_at,
        "endpoints": [str(endpoint) for endpoint in hints.endpoints],
        "relay": hints.relay and hints.relay.raw.hex(),
    }


@pytest.mark.parametrize("encoded", _VECTORS["accepted_with_unknown_fields"])
def test_fields_of_later_versions_are_ignored(encoded: str) -> None:
    assert Hints.decode(bytes.fromhex(encoded)).online


@pytest.mark.parametrize("case", _VECTORS["refused"], ids=lambda case: case["note"])
def test_the_refused_hints_of_the_spec_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        Hints.decode(bytes.fromhex(case["hints"]))


def test_200_bytes_are_allowed_and_201_are_not() -> None:
    filled = {0: True, 1: 0, 4: bytes(200 - 8)}
    assert len(cbor.encode(filled)) == MAX_HINTS_BYTES
    Hints.decode(cbor.encode(filled))
    with pytest.raises(DecodeError, match="at most 200"):
        Hints.decode(cbor.encode(filled | {4: bytes(201 - 8)}))


def test_our_own_code_cannot_send_five_endpoints() -> None:
    endpoints = tuple(Endpoint.of("192.0.2.1", port) for port in range(1, 6))
    with pytest.raises(ValueError, match="at most 4"):
        Hints(online=True, last_seen_at=0, endpoints=endpoints).encode()


@pytest.mark.parametrize("last_seen_at", [-1, 2**40])
def test_our_own_code_cannot_send_a_time_out_of_bounds(last_seen_at: int) -> None:
    with pytest.raises(ValueError, match="out of bounds"):
        Hints(online=True, last_seen_at=last_seen_at).encode()
