import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.identity import bech32m
from shadowmesh.identity.names import OVERLAY_NETWORK, Fingerprint, PeerID, parse_name
from shadowmesh.wire.errors import DecodeError

_VECTORS = json.loads(Path("docs/spec/vectors/identity.json").read_text())
_FINGERPRINTS = st.binary(min_size=32, max_size=32).map(Fingerprint)


@given(_FINGERPRINTS)
def test_a_fingerprint_comes_back_from_its_text(fingerprint: Fingerprint) -> None:
    assert Fingerprint.parse(str(fingerprint)) == fingerprint == parse_name(str(fingerprint))


@given(_FINGERPRINTS)
def test_a_peer_id_comes_back_from_its_text(fingerprint: Fingerprint) -> None:
    assert parse_name(str(fingerprint.peer_id)) == fingerprint.peer_id


@given(_FINGERPRINTS)
def test_the_overlay_address_lies_in_the_overlay_network_and_shows_the_peer_id(fingerprint: Fingerprint) -> None:
    address = fingerprint.peer_id.overlay_address
    assert address in OVERLAY_NETWORK
    assert address.packed[6:] == fingerprint.raw[:10]


@pytest.mark.parametrize("key", _VECTORS["keys"], ids=lambda key: key["note"])
def test_the_names_of_the_spec_hold_both_ways(key: dict[str, Any]) -> None:
    fingerprint = Fingerprint(bytes.fromhex(key["fingerprint"]))
    assert str(fingerprint) == key["fingerprint_text"]
    assert str(fingerprint.peer_id) == key["peer_id_text"]
    assert str(fingerprint.peer_id.overlay_address) == key["overlay_address"]
    assert parse_name(key["fingerprint_text"]) == fingerprint
    assert parse_name(key["peer_id_text"]) == fingerprint.peer_id


@pytest.mark.parametrize("case", _VECTORS["names_refused"], ids=lambda case: case["note"])
def test_the_refused_names_of_the_spec_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        parse_name(case["text"])


def test_the_overlay_network_is_a_unique_local_48() -> None:
    assert str(OVERLAY_NETWORK) == _VECTORS["overlay_network"]


def test_a_peer_id_is_too_short_to_pin_trust_to() -> None:
    with pytest.raises(DecodeError, match="the longer fingerprint is needed"):
        Fingerprint.parse(str(PeerID(bytes(20))))


@pytest.mark.parametrize("length", [0, 19, 21, 31, 33])
def test_a_name_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(DecodeError):
        parse_name(bech32m.encode("sm", bytes(length)))


@pytest.mark.parametrize("length", [0, 19, 21, 32])
def test_a_peer_id_has_twenty_bytes(length: int) -> None:
    with pytest.raises(DecodeError, match="want 20"):
        PeerID(bytes(length))


@pytest.mark.parametrize("length", [0, 20, 31, 33])
def test_a_fingerprint_has_thirty_two_bytes(length: int) -> None:
    with pytest.raises(DecodeError, match="want 32"):
        Fingerprint(bytes(length))


def test_space_around_a_name_is_forgiven() -> None:
    name = Fingerprint(bytes(range(32)))
    assert Fingerprint.parse(f"  {name}\n") == name


@given(st.text(max_size=100))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    with pytest.raises(DecodeError, match="is not a ShadowMesh name"):
        parse_name(text)


def test_a_long_text_is_not_repeated_whole() -> None:
    with pytest.raises(DecodeError) as refused:
        parse_name("x" * 1_000_000)
    assert len(str(refused.value)) < 200


def test_names_sort_by_their_bytes() -> None:
    assert PeerID(b"\1" * 20) < PeerID(b"\2" * 20)
