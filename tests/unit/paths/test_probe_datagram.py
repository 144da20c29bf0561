import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.probe_datagram import FULL_SIZE_BYTES, PROBE_BYTES, BadMac, ProbeDatagram, ProbeKeys
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError

VECTORS = json.loads(Path("docs/spec/vectors/probes.json").read_text())
A, B = PeerID(b"a" * 20), PeerID(b"b" * 20)
KEY = bytes(range(32))
FROM_A, FROM_B = ProbeKeys.derive(KEY, A, B), ProbeKeys.derive(KEY, B, A)
OBSERVED = Endpoint.of("198.18.0.1", 41641)

_head = (st.just(FROM_A.tag), st.binary(min_size=16, max_size=16), st.integers(0, 2**64 - 1))
probes = st.builds(ProbeDatagram, *_head, st.none(), st.booleans())
replies = st.builds(ProbeDatagram, *_head, st.sampled_from([OBSERVED, Endpoint.of("2001:db8::1", 1)]))


@given(st.tuples(probes, st.booleans()) | st.tuples(replies, st.just(False)))
def test_what_was_encoded_is_decoded(what: tuple[ProbeDatagram, bool]) -> None:
    datagram, full_size = what
    data = datagram.encode(FROM_A, full_size=full_size)
    assert len(data) == (FULL_SIZE_BYTES if full_size else PROBE_BYTES)
    assert ProbeDatagram.decode(data) == datagram
    ProbeDatagram.check_mac(data, FROM_B)


def test_both_sides_derive_one_tag_and_crossed_keys() -> None:
    assert FROM_A.tag == FROM_B.tag
    assert (FROM_A.sending, FROM_A.receiving) == (FROM_B.receiving, FROM_B.sending)
    assert FROM_A.sending != FROM_A.receiving


def test_keys_are_not_printed() -> None:
    assert FROM_A.sending.hex() not in repr(FROM_A)
    assert repr(FROM_A.sending) not in repr(FROM_A)


def test_a_reflected_probe_is_refused() -> None:
    with pytest.raises(BadMac):
        ProbeDatagram.check_mac(ProbeDatagram(FROM_A.tag, bytes(16), 1).encode(FROM_A), FROM_A)


@pytest.mark.parametrize("offset", range(PROBE_BYTES))
def test_no_byte_can_be_changed(offset: int) -> None:
    data = bytearray(ProbeDatagram(FROM_A.tag, bytes(16), 1, OBSERVED).encode(FROM_A))
    data[offset] ^= 1
    with pytest.raises((DecodeError, BadMac)):
        receive(bytes(data), FROM_B)


@pytest.mark.parametrize("length", [*range(PROBE_BYTES), PROBE_BYTES + 1, FULL_SIZE_BYTES - 1, FULL_SIZE_BYTES + 1])
def test_another_length_is_refused(length: int) -> None:
    data = ProbeDatagram(FROM_A.tag, bytes(16), 1).encode(FROM_A, full_size=True) + b"\0"
    with pytest.raises(DecodeError):
        ProbeDatagram.decode(data[:length])


@given(st.integers(PROBE_BYTES, FULL_SIZE_BYTES - 1))
def test_no_byte_of_the_padding_can_be_changed(offset: int) -> None:
    data = bytearray(ProbeDatagram(FROM_A.tag, bytes(16), 1).encode(FROM_A, full_size=True))
    data[offset] ^= 1
    with pytest.raises(DecodeError):
        ProbeDatagram.decode(bytes(data))


@given(
    st.sampled_from([PROBE_BYTES, FULL_SIZE_BYTES]).flatmap(lambda length: st.binary(min_size=length, max_size=length))
)
def test_random_bytes_are_refused_without_another_error(data: bytes) -> None:
    try:
        ProbeDatagram.decode(data)
    except DecodeError:
        return
    with pytest.raises(BadMac):
        ProbeDatagram.check_mac(data, FROM_B)


def test_a_probe_that_carries_an_observed_endpoint_is_refused() -> None:
    data = bytearray(ProbeDatagram(FROM_A.tag, bytes(16), 1, OBSERVED).encode(FROM_A))
    data[0] = 0x44
    with pytest.raises(DecodeError):
        ProbeDatagram.decode(bytes(data))


@pytest.mark.parametrize("vector", VECTORS["good"], ids=lambda vector: vector["name"])
def test_good_vectors(vector: dict[str, Any]) -> None:
    sender, receiver = PeerID(bytes.fromhex(vector["sender"])), PeerID(bytes.fromhex(vector["receiver"]))
    probe_key, data = bytes.fromhex(vector["probe_key"]), bytes.fromhex(vector["datagram"])
    keys = ProbeKeys.derive(probe_key, receiver, sender)
    datagram = ProbeDatagram.decode(data)
    ProbeDatagram.check_mac(data, keys)
    assert datagram.tag == keys.tag == bytes.fromhex(vector["tag"])
    assert (str(datagram.observed or ""), datagram.compares) == (vector["observed"], vector["compares"])
    own_keys = ProbeKeys.derive(probe_key, sender, receiver)
    assert datagram.encode(own_keys, full_size=len(data) == FULL_SIZE_BYTES) == data


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: vector["name"])
def test_refused_vectors(vector: dict[str, str]) -> None:
    sender, receiver = PeerID(bytes.fromhex(vector["sender"])), PeerID(bytes.fromhex(vector["receiver"]))
    keys = ProbeKeys.derive(bytes.fromhex(vector["probe_key"]), receiver, sender)
    data = bytes.fromhex(vector["datagram"])
    with pytest.raises((DecodeError, BadMac)):
        receive(data, keys)


def receive(data: bytes, keys: ProbeKeys) -> None:
    ProbeDatagram.decode(data)
    ProbeDatagram.check_mac(data, keys)
