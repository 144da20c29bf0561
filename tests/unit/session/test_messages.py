import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.session.harness import record
from tests.unit.session.session_vectors import PATH

from shadowmesh.identity.names import PeerID
from shadowmesh.records.peer_record import MAX_RECORD_BYTES
from shadowmesh.session.fragments import cut
from shadowmesh.session.kem import DecapsulationKey
from shadowmesh.session.macs import MacWriter
from shadowmesh.session.messages import (
    M1_BYTES,
    M2_BYTES,
    M3_BYTES,
    M4_BYTES,
    Claim,
    Finished,
    InitiatorProof,
    Message1,
    Message2Head,
    ResponderProof,
    check_length,
    split_message3,
)
from shadowmesh.wire.errors import DecodeError


def sized(length: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=length, max_size=length)


claims = st.builds(Claim, sized(8), st.integers(0, 2**64 - 1), sized(32), st.integers(0, 2**16 - 1))
signatures = st.binary(max_size=8).map(lambda start: start.ljust(4627, b"s"))
messages1 = st.builds(
    Message1,
    sized(8),
    sized(32),
    st.binary(max_size=8).map(lambda start: start.ljust(1568, b"k")),
    st.integers(0, 65535),
)
heads = st.builds(Message2Head, sized(8), sized(32), st.binary(max_size=8).map(lambda start: start.ljust(1568, b"c")))
initiator_proofs = st.builds(
    InitiatorProof, sized(20).map(PeerID), claims, signatures, st.binary(max_size=MAX_RECORD_BYTES // 16)
)
finisheds = st.builds(Finished, sized(32), st.integers(0, 2**32 - 1))


@given(messages1)
def test_message1_is_the_same_after_encoding_and_decoding(message: Message1) -> None:
    assert Message1.decode(message.encode()) == message


@given(heads)
def test_the_head_of_message2_is_the_same_after_encoding_and_decoding(head: Message2Head) -> None:
    assert Message2Head.decode(head.encode()) == head


@given(claims, signatures)
def test_the_responders_proof_is_the_same_after_encoding_and_decoding(claim: Claim, signature: bytes) -> None:
    proof = ResponderProof(claim, signature)
    assert ResponderProof.decode(proof.encode()) == proof


@given(initiator_proofs)
def test_the_initiators_proof_is_the_same_after_encoding_and_decoding(proof: InitiatorProof) -> None:
    assert InitiatorProof.decode(proof.encode()) == proof
    assert proof.encode() == proof.core + proof.record


@given(finisheds)
def test_finished_is_the_same_after_encoding_and_decoding(finished: Finished) -> None:
    assert Finished.decode(finished.encode()) == finished


@pytest.mark.parametrize(
    ("decode", "length"),
    [(Message1.decode, M1_BYTES), (Message2Head.decode, 1608), (Claim.decode, 48), (ResponderProof.decode, 4675)],
)
def test_every_other_length_is_refused(decode: Callable[[bytes], object], length: int) -> None:
    for other in [*range(0, length, 7), length - 1, length + 1]:
        with pytest.raises(DecodeError):
            decode(bytes(other))


def test_an_initiators_proof_that_is_cut_short_is_refused() -> None:
    for length in range(0, 4695, 13):
        with pytest.raises(DecodeError):
            InitiatorProof.decode(bytes(length))


def test_message1_fills_two_datagrams_and_pays_for_message2() -> None:
    asked, answer = cut(1, bytes(8), bytes(M1_BYTES)), cut(2, bytes(8), bytes(M2_BYTES))
    assert [len(datagram) for datagram in asked.datagrams] == [1232, 1232]
    assert answer.flight.wire_bytes < 3 * asked.flight.wire_bytes


def test_message1_with_other_padding_is_refused() -> None:
    encoded = bytearray(M1_BYTES)
    encoded[2000] = 1
    with pytest.raises(DecodeError):
        Message1.decode(bytes(encoded))


def test_the_sizes_are_those_of_the_spec() -> None:
    assert (M1_BYTES, M2_BYTES, M3_BYTES, M4_BYTES) == (2352, 6301, 4714, 52)


@pytest.mark.parametrize(
    ("number", "length"),
    [(1, 2415), (1, 2417), (2, 6300), (2, 6302), (3, 4713), (3, 4715 + MAX_RECORD_BYTES), (4, 51), (4, 53)],
)
def test_a_length_that_no_such_message_has_is_refused_before_anything_is_kept(number: int, length: int) -> None:
    with pytest.raises(DecodeError):
        check_length(number, length)


@pytest.mark.parametrize(
    "message", [b"", b"\2" + bytes(M3_BYTES - 1), b"\1" + bytes(M3_BYTES - 1), bytes(M3_BYTES + 1)]
)
def test_message3_whose_form_and_length_differ_is_refused(message: bytes) -> None:
    with pytest.raises(DecodeError):
        split_message3(message)


def test_a_claim_names_the_record_its_wireguard_key_and_its_capabilities() -> None:
    claim = Claim.of(record(1, sequence=5, capabilities=9))
    assert claim == Claim(record(1, sequence=5, capabilities=9).record_id[:8], 5, b"\1" * 32, 9)


def test_signatures_and_keys_are_not_printed() -> None:
    proof = ResponderProof(Claim(bytes(8), 1, bytes(32), 0), b"Z" * 4627)
    assert "Z" not in repr(proof)


def test_message1_of_the_spec_follows_from_its_seeds() -> None:
    vector = json.loads(PATH.read_text())["message1"]
    message = Message1.decode(bytes.fromhex(vector["message"]))
    key = DecapsulationKey(bytes.fromhex(vector["kem_seed"])).encapsulation_key
    assert message == Message1(
        bytes.fromhex(vector["cid"]),
        bytes.fromhex(vector["nonce"]),
        key,
        vector["suite"],
    )
    macs = MacWriter(bytes.fromhex(vector["mac1_key"]))
    assert [datagram.hex() for datagram in cut(1, message.cid, message.encode(), macs).datagrams] == vector["datagrams"]
