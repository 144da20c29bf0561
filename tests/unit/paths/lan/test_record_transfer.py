import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sim.chance import SeededEntropy

from shadowmesh.identity.names import Fingerprint
from shadowmesh.paths.lan.pair_secret import PairSecret
from shadowmesh.paths.lan.record_transfer import (
    MAX_CHUNK_BYTES,
    MAX_CHUNKS,
    MAX_RECORD_BYTES,
    REQUEST_BYTES,
    RecordChunk,
    RecordRequest,
    open_sealed,
    seal,
    split,
    tag_in,
)
from shadowmesh.wire.errors import DecodeError

VECTORS = json.loads(Path("docs/spec/vectors/lan.json").read_text())
ALICE = Fingerprint(bytes.fromhex(VECTORS["announcer"]))
BOB = Fingerprint(bytes.fromhex(VECTORS["listeners"][0]["fingerprint"]))
SECRET = PairSecret.derive(ALICE, BOB, bytes.fromhex(VECTORS["nonce"]))
ENTROPY = SeededEntropy(1)
PREFIX = bytes(8)


@given(st.integers(0, MAX_CHUNKS - 1))
def test_a_request_is_read_by_who_has_the_secret(index: int) -> None:
    datagram = seal(RecordRequest(index), SECRET, ENTROPY)
    assert (len(datagram), tag_in(datagram)) == (REQUEST_BYTES, SECRET.tag)
    assert open_sealed(datagram, SECRET) == RecordRequest(index)


@given(st.binary(min_size=1, max_size=MAX_RECORD_BYTES))
def test_a_record_is_whole_again_and_no_chunk_is_more_than_three_times_its_request(record: bytes) -> None:
    chunks = split(record, PREFIX)
    assert len(chunks) <= MAX_CHUNKS
    datagrams = [seal(chunk, SECRET, ENTROPY) for chunk in chunks]
    assert all(len(datagram) <= MAX_CHUNK_BYTES == 3 * REQUEST_BYTES for datagram in datagrams)
    opened = [open_sealed(datagram, SECRET) for datagram in datagrams]
    assert b"".join(chunk.data for chunk in opened if isinstance(chunk, RecordChunk)) == record


@pytest.mark.parametrize("message", [RecordRequest(1), RecordChunk(PREFIX, 0, 1, b"record")], ids=["request", "chunk"])
def test_no_byte_can_be_changed(message: RecordRequest | RecordChunk) -> None:
    datagram = seal(message, SECRET, ENTROPY)
    for offset in range(len(datagram)):
        forged = datagram[:offset] + bytes([datagram[offset] ^ 1]) + datagram[offset + 1 :]
        with pytest.raises(DecodeError):
            read(forged)


@given(st.binary(max_size=MAX_CHUNK_BYTES + 1))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read(data)


def test_the_vectors_are_read() -> None:
    assert read(bytes.fromhex(VECTORS["request"]["datagram"])) == RecordRequest(VECTORS["request"]["index"])
    chunk = VECTORS["chunk"]
    assert read(bytes.fromhex(chunk["datagram"])) == RecordChunk(
        bytes.fromhex(chunk["record_prefix"]), chunk["index"], chunk["count"], bytes.fromhex(chunk["data"])
    )


@pytest.mark.parametrize("case", VECTORS["sealed_refused"], ids=lambda case: case["name"])
def test_what_is_refused(case: dict[str, str]) -> None:
    with pytest.raises(DecodeError):
        read(bytes.fromhex(case["datagram"]))


def read(datagram: bytes) -> RecordRequest | RecordChunk:
    """As a receiver does: the tag names the secret."""
    if tag_in(datagram) != SECRET.tag:
        raise DecodeError("another tag")
    return open_sealed(datagram, SECRET)
