from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.session.harness import identity
from tests.unit.session.session_vectors import PATH, sealed_reply

from shadowmesh.identity.keys import Identity
from shadowmesh.session.cookie_reply import COOKIE_REPLY_BYTES, CookieReply
from shadowmesh.session.drops import Dropped
from shadowmesh.session.fragments import HEADER_BYTES, Flight
from shadowmesh.session.macs import GateKeys
from shadowmesh.session.messages import M1_BYTES
from shadowmesh.wire.errors import DecodeError

COOKIE = b"c" * 16
FLIGHT = Flight(1, b"cidcidci", b"idofthe1", M1_BYTES)
MACS = b"1" * 32
KEYS = GateKeys.of(identity(2).public)


def test_a_reply_has_64_bytes_and_gives_its_cookie_to_who_knows_the_key_and_the_macs() -> None:
    encoded = sealed().encode()
    assert len(encoded) == COOKIE_REPLY_BYTES == 64
    assert CookieReply.decode(encoded) == sealed()
    assert CookieReply.decode(encoded).open(KEYS, MACS) == COOKIE
    assert COOKIE not in encoded


def test_a_reply_to_another_datagram_is_refused() -> None:
    with pytest.raises(Dropped):
        sealed().open(KEYS, b"2" * 32)


def test_a_reply_of_another_responder_is_refused() -> None:
    with pytest.raises(Dropped):
        sealed().open(GateKeys.of(identity(3).public), MACS)


@given(st.integers(4, COOKIE_REPLY_BYTES - 1), st.integers(1, 255))
def test_a_reply_with_any_byte_changed_is_refused(offset: int, change: int) -> None:
    encoded = bytearray(sealed().encode())
    encoded[offset] ^= change
    with pytest.raises(Dropped):
        CookieReply.decode(bytes(encoded)).open(KEYS, MACS)


@pytest.mark.parametrize("offset", range(4))
def test_another_type_version_or_reserved_field_is_refused(offset: int) -> None:
    encoded = bytearray(sealed().encode())
    encoded[offset] ^= 1
    with pytest.raises(DecodeError):
        CookieReply.decode(bytes(encoded))


@given(st.binary(max_size=130).filter(lambda data: len(data) != COOKIE_REPLY_BYTES))
def test_another_length_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        CookieReply.decode(data)


def test_the_vectors_of_the_spec() -> None:
    vector = json.loads(PATH.read_text())["cookie_reply"]
    reply = CookieReply.decode(bytes.fromhex(vector["datagram"]))
    public = Identity(bytes.fromhex(vector["responder_seed"])).public
    assert (reply.cid.hex(), reply.message_id.hex(), reply.nonce.hex()) == (
        vector["cid"],
        vector["message_id"],
        vector["nonce"],
    )
    cookie = reply.open(GateKeys.of(public), bytes.fromhex(vector["answered"])[HEADER_BYTES:])
    assert cookie.hex() == vector["cookie"]
    for case in vector["refused"]:
        with pytest.raises(DecodeError):
            CookieReply.decode(bytes.fromhex(case["datagram"]))


def sealed() -> CookieReply:
    return CookieReply.decode(sealed_reply(FLIGHT, MACS, COOKIE, KEYS.cookie, bytes(range(12))))
