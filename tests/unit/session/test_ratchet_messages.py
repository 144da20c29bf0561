from __future__ import annotations

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.session.session_vectors import PATH

from shadowmesh.session.drops import Dropped
from shadowmesh.session.fragments import cut
from shadowmesh.session.kem import DecapsulationKey
from shadowmesh.session.ratchet_messages import (
    RatchetMessage,
    RatchetStep,
    is_ratchet_datagram,
    next_psk,
    ratchet_cid,
)
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.transmit import MAX_DATAGRAM_BYTES

PSK, CID = b"p" * 32, b"cidcidci"
BODIES = {
    RatchetStep.OFFER: bytes(1568),
    RatchetStep.ANSWER: bytes(1568),
    RatchetStep.CONFIRM: b"",
    RatchetStep.DONE: b"",
}


@pytest.mark.parametrize("step", RatchetStep)
def test_a_message_comes_back_as_it_was_sealed(step: RatchetStep) -> None:
    message = RatchetMessage.seal(step, 7, PSK, CID, BODIES[step])
    assert RatchetMessage.decode(step, message.encode()) == message
    assert message.open(PSK, CID) == BODIES[step]
    assert all(len(datagram) <= MAX_DATAGRAM_BYTES for datagram in cut(step, CID, message.encode()).datagrams)


@pytest.mark.parametrize("step", RatchetStep)
def test_another_psk_cid_or_epoch_opens_nothing(step: RatchetStep) -> None:
    message = RatchetMessage.seal(step, 7, PSK, CID, BODIES[step])
    other_epoch = RatchetMessage(step, 8, message.sealed)
    for opened, psk, cid in ((message, b"q" * 32, CID), (message, PSK, b"anothers"), (other_epoch, PSK, CID)):
        with pytest.raises(Dropped):
            opened.open(psk, cid)


def test_a_message_of_one_step_is_none_of_another() -> None:
    for sealed, read in product(RatchetStep, RatchetStep):
        message = RatchetMessage.seal(sealed, 7, PSK, CID, BODIES[sealed])
        if sealed is not read:
            with pytest.raises((Dropped, DecodeError)):
                RatchetMessage.decode(read, message.encode()).open(PSK, CID)


@given(st.sampled_from(RatchetStep), st.binary(max_size=1700))
def test_random_bytes_are_refused_by_a_typed_error(step: RatchetStep, data: bytes) -> None:
    with pytest.raises((Dropped, DecodeError)):
        RatchetMessage.decode(step, data).open(PSK, CID)


def test_a_ratchets_datagrams_are_told_from_the_handshakes() -> None:
    numbers = [number for number in range(1, 9) if is_ratchet_datagram(cut(number, CID, b"m").datagrams[0])]
    assert numbers == [5, 6, 7, 8]
    assert not is_ratchet_datagram(b"")
    assert not is_ratchet_datagram(b"\x40\1")
    assert not is_ratchet_datagram(b"\x41\1\5")


def test_the_vectors_of_the_spec() -> None:
    vector = json.loads(PATH.read_text())["ratchet"]
    psk = bytes.fromhex(vector["chain"][0]["psk"])
    cid = ratchet_cid(psk)
    assert cid.hex() == vector["cid"]
    for link in vector["chain"]:
        assert psk.hex() == link["psk"]
        key = DecapsulationKey(bytes.fromhex(link["kem_seed"]))
        offer, answer, confirm, done = (
            RatchetMessage.decode(step, bytes.fromhex(link[step.name.lower()])) for step in RatchetStep
        )
        assert (offer.epoch, answer.epoch) == (link["epoch"],) * 2
        assert offer.open(psk, cid) == key.encapsulation_key
        ciphertext = answer.open(psk, cid)
        assert ciphertext.hex() == link["ciphertext"]
        shared_secret = key.decapsulate(ciphertext)
        assert shared_secret.hex() == link["shared_secret"]
        psk = next_psk(psk, shared_secret, link["epoch"] + 1, key.encapsulation_key, ciphertext)
        assert psk.hex() == link["next_psk"]
        assert confirm.open(psk, cid) == done.open(psk, cid) == b""
        assert (confirm.epoch, done.epoch) == (link["epoch"] + 1,) * 2
