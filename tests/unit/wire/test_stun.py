"""The STUN codec against RFC 5769 and against garbage."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.wire import stun
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError

TXID = bytes.fromhex("b7e7a701bc34d686fa87dfae")
# RFC 5769 §2.1: request with SOFTWARE, PRIORITY, ICE-CONTROLLED, USERNAME, MESSAGE-INTEGRITY and FINGERPRINT.
REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae"
    "802200105354554e207465737420636c69656e74"
    "002400046e0001ff"
    "80290008932ff9b151263b36"
    "000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004e57a3bcf"
)
# §2.2: response, IPv4; 192.0.2.1 port 32853.
RESPONSE_V4 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004c07d4c96"
)
# §2.3: response, IPv6; 2001:db8:1234:5678:11:2233:4455:6677 port 32853.
RESPONSE_V6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014a382954e4be67bf11784c97c8292c275bfe3ed41"
    "80280004c8fb0b4c"
)
VECTORS = [
    (REQUEST, stun.StunMessage(stun.StunKind.REQUEST, TXID, None, True)),
    (RESPONSE_V4, stun.StunMessage(stun.StunKind.SUCCESS, TXID, Endpoint.of("192.0.2.1", 32853), True)),
    (
        RESPONSE_V6,
        stun.StunMessage(stun.StunKind.SUCCESS, TXID, Endpoint.of("2001:db8:1234:5678:11:2233:4455:6677", 32853), True),
    ),
]
ENDPOINTS = st.builds(Endpoint, st.ip_addresses(), st.integers(1, 65535))


@pytest.mark.parametrize(("data", "message"), VECTORS)
def test_the_vectors_of_rfc_5769(data: bytes, message: stun.StunMessage) -> None:
    assert stun.decode(data) == message


@pytest.mark.parametrize(("data", "_message"), VECTORS)
def test_every_changed_bit_of_a_fingerprinted_message_is_noticed(data: bytes, _message: object) -> None:
    for position in range(len(data) * 8):
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        try:
            assert not stun.decode(bytes(changed)).fingerprint
        except DecodeError:
            continue


@pytest.mark.parametrize(("data", "_message"), VECTORS)
def test_every_truncation_is_refused(data: bytes, _message: object) -> None:
    for length in range(len(data)):
        with pytest.raises(DecodeError):
            stun.decode(data[:length])


@given(ENDPOINTS, st.binary(min_size=12, max_size=12), st.booleans())
def test_a_response_comes_back(endpoint: Endpoint, txid: bytes, fingerprint: bool) -> None:
    data = stun.encode_binding_success(txid, endpoint, fingerprint=fingerprint)
    assert stun.decode(data) == stun.StunMessage(stun.StunKind.SUCCESS, txid, endpoint, fingerprint)


@pytest.mark.parametrize(("fingerprint", "length"), [(False, 20), (True, 28)])
def test_a_request_comes_back(fingerprint: bool, length: int) -> None:
    data = stun.encode_binding_request(TXID, fingerprint=fingerprint)
    assert len(data) == length
    assert stun.decode(data) == stun.StunMessage(stun.StunKind.REQUEST, TXID, None, fingerprint)


@given(st.binary(max_size=600))
def test_random_bytes_only_raise_decode_error(data: bytes) -> None:
    for candidate in (
        data,
        stun.encode_binding_request(TXID)[:2] + len(data).to_bytes(2, "big") + REQUEST[4:20] + data,
    ):
        try:
            stun.decode(candidate)
        except DecodeError:
            continue


def test_only_the_first_address_counts() -> None:
    first = stun.encode_binding_success(TXID, Endpoint.of("192.0.2.1", 1))
    second = stun.encode_binding_success(TXID, Endpoint.of("192.0.2.2", 2))
    both = first[:2] + (24).to_bytes(2, "big") + first[4:] + second[20:]
    assert stun.decode(both).mapped == Endpoint.of("192.0.2.1", 1)


@pytest.mark.parametrize(
    "attribute",
    ["0020000800010000e112a643", "0020000800030147e112a643", "00200004000121", "0020001400012147" + "00" * 16],
)
def test_a_strange_address_is_refused(attribute: str) -> None:
    data = bytes.fromhex(attribute)
    data += bytes(-len(data) % 4)
    if attribute == "0020000800010000e112a643":
        data = data[:6] + b"\x21\x12" + data[8:]  # port 0, masked
    with pytest.raises(DecodeError):
        stun.decode(b"\x01\x01" + len(data).to_bytes(2, "big") + REQUEST[4:20] + data)


def test_a_transaction_id_of_another_length_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="12"):
        stun.encode_binding_request(os.urandom(11))
