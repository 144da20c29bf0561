import contextlib
import json
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.identity.names import Fingerprint
from shadowmesh.mesh.state import SavedState, TrustedPeer
from shadowmesh.node import state_file
from shadowmesh.records.cache_entry import CacheEntry
from shadowmesh.wire.errors import DecodeError

_fingerprints = st.binary(min_size=32, max_size=32).map(Fingerprint)
_trusted = st.builds(TrustedPeer, _fingerprints, st.text(max_size=63))
_entries = st.builds(CacheEntry, _fingerprints, ipv4=st.none() | st.integers(1, 2**32 - 1).map(IPv4Address))
_states = st.builds(
    SavedState,
    trusted=st.lists(_trusted, max_size=5).map(tuple),
    cache=st.lists(_entries, max_size=5).map(tuple),
    record_sequence=st.integers(0, 2**63 - 1),
    directory=st.binary(max_size=200),
    records=st.just(()),
)


@given(_states)
def test_a_state_comes_back_as_it_was(state: SavedState) -> None:
    assert state_file.decode(state_file.encode(state)) == state


@given(_states, st.data())
def test_no_damage_goes_unnoticed_as_another_error(state: SavedState, data: st.DataObject) -> None:
    encoded = bytearray(state_file.encode(state))
    position = data.draw(st.integers(0, len(encoded) - 1))
    encoded[position] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DecodeError):
        state_file.decode(bytes(encoded))


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        state_file.decode(data)


def test_every_truncation_is_refused() -> None:
    encoded = state_file.encode(SavedState(record_sequence=7)).rstrip()
    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            state_file.decode(encoded[:length])


def test_another_format_version_is_refused() -> None:
    document = json.loads(state_file.encode(SavedState()))
    document["format"] = "shadowmesh-state-2"
    with pytest.raises(DecodeError, match="format"):
        state_file.decode(json.dumps(document).encode())


def test_a_file_without_end_is_not_read_on() -> None:
    with pytest.raises(DecodeError, match="more than"):
        state_file.decode(b" " * (state_file.MAX_STATE_BYTES + 1))
