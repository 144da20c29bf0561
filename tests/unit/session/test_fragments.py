import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.session.session_vectors import PATH

from shadowmesh.session.fragments import (
    HEADER_BYTES,
    CutMessage,
    Flight,
    Fragment,
    MissingRequest,
    begins_handshake,
    cut,
)
from shadowmesh.session.limits import MAX_MESSAGE_BYTES
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.transmit import MAX_DATAGRAM_BYTES

VECTORS = json.loads(PATH.read_text())
FRAGMENT_BYTES = Flight(2, bytes(8), bytes(8), 1).fragment_bytes
lengths = st.integers(1, MAX_MESSAGE_BYTES)


@given(length=lengths, number=st.integers(1, 4))
def test_the_fragments_of_a_message_carry_all_of_it_in_datagrams_that_pass_every_path(length: int, number: int) -> None:
    message = bytes(index & 0xFF for index in range(length))
    cut_message = cut(number, b"12345678", message)
    fragments = [Fragment.decode(datagram) for datagram in cut_message.datagrams]
    assert b"".join(fragment.payload for fragment in fragments) == message
    assert [fragment.index for fragment in fragments] == list(range(len(fragments)))
    assert all(len(datagram) <= MAX_DATAGRAM_BYTES for datagram in cut_message.datagrams)
    assert sum(map(len, cut_message.datagrams)) == cut_message.flight.wire_bytes


@given(length=lengths, data=st.data())
def test_a_fragment_is_the_same_after_decoding_and_encoding(length: int, data: st.DataObject) -> None:
    datagram = data.draw(st.sampled_from(cut(3, b"12345678", bytes(length)).datagrams))
    assert Fragment.decode(datagram).encode() == datagram


@pytest.mark.parametrize("number", range(1, 9))
def test_message1_alone_begins_a_handshake(number: int) -> None:
    for datagram in cut(number, b"12345678", bytes(2000)).datagrams:
        assert begins_handshake(datagram) is (number == 1)


def test_nothing_and_other_datagrams_begin_no_handshake() -> None:
    assert not any(map(begins_handshake, (b"", b"\x40", b"\x41\1\1", b"\x40\2\1", bytes(50))))


def test_the_header_has_its_fields_where_the_spec_says() -> None:
    datagram = cut(2, b"abcdefgh", bytes(FRAGMENT_BYTES + 5)).datagrams[1]
    assert datagram[:12] == bytes([0x40, 1, 2, 0x11]) + b"abcdefgh"
    assert datagram[20:24] == (FRAGMENT_BYTES + 5).to_bytes(2, "big") + bytes(2)
    assert len(datagram) == HEADER_BYTES + 5


def test_a_message_id_depends_on_every_byte_and_on_the_message_number() -> None:
    ids = {cut(number, bytes(8), message).flight.message_id for number in (1, 2) for message in (b"a", b"b", b"aa")}
    assert len(ids) == 6


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 20, 22, 23])
def test_a_header_with_a_wrong_fixed_field_is_refused(offset: int) -> None:
    datagram = bytearray(cut(1, bytes(8), bytes(2000)).datagrams[0])
    datagram[offset] ^= 0xFF
    with pytest.raises(DecodeError):
        Fragment.decode(bytes(datagram))


def test_every_truncation_of_a_fragment_and_of_a_request_is_refused() -> None:
    datagram = cut(1, bytes(8), bytes(300)).datagrams[0]
    for length in range(len(datagram)):
        with pytest.raises(DecodeError):
            Fragment.decode(datagram[:length])
    request = MissingRequest(_three().flight, (1,)).encode(padded=False)
    for length in range(len(request)):
        with pytest.raises(DecodeError):
            MissingRequest.decode(request[:length])


@given(st.binary(max_size=1300))
def test_random_bytes_are_refused_or_decoded_never_anything_else(data: bytes) -> None:
    for codec in (Fragment, MissingRequest):
        for prefix in (b"", b"\x40\x01\x01", b"\x41\x01\x02"):
            with suppress(DecodeError):
                codec.decode(prefix + data)


@given(length=lengths, data=st.data(), padded=st.booleans())
def test_a_request_is_the_same_after_encoding_and_decoding(length: int, data: st.DataObject, padded: bool) -> None:
    flight = cut(2, b"12345678", bytes(length)).flight
    missing = data.draw(st.sets(st.integers(0, flight.total - 1), min_size=1))
    request = MissingRequest(flight, tuple(sorted(missing)))
    assert MissingRequest.decode(request.encode(padded=padded)) == request


@given(missing=st.sets(st.integers(0, 2), min_size=1))
def test_a_padded_request_pays_for_up_to_three_datagrams(missing: set[int]) -> None:
    three = _three()
    request = MissingRequest(three.flight, tuple(sorted(missing)))
    answer = three.pick(request.missing)
    assert 3 * len(request.encode(padded=True)) >= sum(map(len, answer))
    assert len(request.encode(padded=False)) == HEADER_BYTES + 2


def test_a_request_for_nothing_for_fragments_beyond_the_last_or_with_other_padding_is_refused() -> None:
    header = MissingRequest(_three().flight, (0,)).encode(padded=False)[:HEADER_BYTES]
    for tail in (b"\0\0", b"\0\x08", b"\0\x01\x01"):
        with pytest.raises(DecodeError):
            MissingRequest.decode(header + tail)


def test_a_request_asks_for_a_flight_whatever_its_cid() -> None:
    flight = _three().flight
    request = MissingRequest(flight, (0,))
    assert request.asks_for(Flight(flight.message, b"another!", flight.message_id, flight.length))
    assert not request.asks_for(Flight(flight.message, flight.cid, bytes(8), flight.length))


@pytest.mark.parametrize("vector", VECTORS["fragments"])
def test_the_specs_fragments_decode_and_encode(vector: dict[str, Any]) -> None:
    datagram = bytes.fromhex(vector["datagram"])
    fragment = Fragment.decode(datagram)
    assert fragment == Fragment(_flight(vector), vector["index"], bytes.fromhex(vector["payload"]))
    assert fragment.flight.total == vector["total"]
    assert fragment.encode() == datagram


@pytest.mark.parametrize("vector", VECTORS["fragments_refused"], ids=lambda vector: vector["why"])
def test_the_specs_malformed_fragments_are_refused(vector: dict[str, str]) -> None:
    with pytest.raises(DecodeError):
        Fragment.decode(bytes.fromhex(vector["datagram"]))


@pytest.mark.parametrize("vector", VECTORS["missing_requests"])
def test_the_specs_requests_decode_and_encode(vector: dict[str, Any]) -> None:
    datagram = bytes.fromhex(vector["datagram"])
    request = MissingRequest.decode(datagram)
    assert request == MissingRequest(_flight(vector), tuple(vector["missing"]))
    assert request.encode(padded=vector["padded"]) == datagram


def _flight(vector: dict[str, Any]) -> Flight:
    return Flight(
        vector["message"], bytes.fromhex(vector["cid"]), bytes.fromhex(vector["message_id"]), vector["length"]
    )


def _three() -> CutMessage:
    return cut(2, b"12345678", bytes(2 * FRAGMENT_BYTES + 100))
