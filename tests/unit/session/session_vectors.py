"""Makes docs/spec/vectors/session.json: `PYTHONPATH=src python -m tests.unit.session.session_vectors` from the root."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shadowmesh.identity.keys import Identity
from shadowmesh.identity.names import Fingerprint
from shadowmesh.records.peer_record import Capability
from shadowmesh.session import keys
from shadowmesh.session.fragments import (
    HEADER_BYTES,
    MAC_BYTES,
    CutMessage,
    Flight,
    Fragment,
    MissingRequest,
    cut,
)
from shadowmesh.session.kem import DecapsulationKey
from shadowmesh.session.keys import FinalKeys, Side
from shadowmesh.session.macs import GateKeys, MacWriter, macs_of
from shadowmesh.session.messages import M2_BYTES, WITH_RECORD, WITHOUT_RECORD, Claim, Finished, Message1
from shadowmesh.session.ratchet_messages import RatchetMessage, RatchetStep, next_psk, ratchet_cid

PATH = Path(__file__).parents[3] / "docs" / "spec" / "vectors" / "session.json"


def build() -> dict[str, Any]:
    return {
        "fragments": [_fragment(cut(4, b"cidcidci", bytes(range(52))), 0)]
        + [_fragment(cut(2, b"cidcidci", bytes(M2_BYTES)), index) for index in (0, 5)]
        + [_fragment(cut(3, b"cidcidci", bytes(12906)), 10)],
        "fragments_refused": _refused(),
        "missing_requests": [
            _request((0,), padded=True),
            _request((1, 5), padded=True),
            _request((0, 1, 2, 3, 4, 5), padded=True),
            _request((3,), padded=False),
        ],
        "message1": _message1(),
        "cookie_reply": _cookie_reply(),
        "key_schedule": _key_schedule(),
        "ratchet": _ratchet(),
    }


def _fragment(message: CutMessage, index: int) -> dict[str, Any]:
    datagram = message.datagrams[index]
    return {
        **_flight(message.flight),
        "index": index,
        "total": message.flight.total,
        "payload": Fragment.decode(datagram).payload.hex(),
        "datagram": datagram.hex(),
    }


def _refused() -> list[dict[str, str]]:
    good = cut(4, b"cidcidci", bytes(range(52))).datagrams[0]

    def changed(offset: int, value: int) -> str:
        return (good[:offset] + bytes([value]) + good[offset + 1 :]).hex()

    return [
        {"datagram": changed(0, 0x42), "why": "another type"},
        {"datagram": changed(1, 2), "why": "version 2"},
        {"datagram": changed(2, 0), "why": "message 0"},
        {"datagram": changed(2, 9), "why": "message 9"},
        {"datagram": changed(3, 0x01), "why": "52 bytes are not two fragments"},
        {"datagram": changed(3, 0x10), "why": "index 1 of 1"},
        {"datagram": changed(21, 53), "why": "the length promises a byte more"},
        {"datagram": changed(23, 1), "why": "reserved field not zero"},
        {"datagram": good[:-1].hex(), "why": "a byte too few"},
        {"datagram": good.hex() + "00", "why": "a byte too many"},
        {"datagram": good[:23].hex(), "why": "header cut short"},
        {"datagram": "", "why": "empty"},
    ]


def _request(missing: tuple[int, ...], *, padded: bool) -> dict[str, Any]:
    flight = cut(2 if padded else 3, b"cidcidci", bytes(M2_BYTES)).flight
    datagram = MissingRequest(flight, missing).encode(padded=padded)
    return {**_flight(flight), "missing": list(missing), "padded": padded, "datagram": datagram.hex()}


def _message1() -> dict[str, Any]:
    responder = Identity(b"\2" * 32).public
    cid, nonce, kem_seed = b"cidcidci", bytes(range(32)), bytes(range(64))
    encapsulation_key = DecapsulationKey(kem_seed).encapsulation_key
    message = Message1(cid, nonce, encapsulation_key, keys.SUITE).encode()
    gate_keys = GateKeys.of(responder)
    return {
        "responder_seed": (b"\2" * 32).hex(),
        "responder_fingerprint": responder.fingerprint.raw.hex(),
        "cid": cid.hex(),
        "nonce": nonce.hex(),
        "kem_seed": kem_seed.hex(),
        "suite": keys.SUITE,
        "h1": keys.transcript1(responder.fingerprint, message).hex(),
        "message": message.hex(),
        "mac1_key": gate_keys.mac1.hex(),
        "cookie_key": gate_keys.cookie.hex(),
        "datagrams": [datagram.hex() for datagram in cut(1, cid, message, MacWriter(gate_keys.mac1)).datagrams],
    }


def _cookie_reply() -> dict[str, Any]:
    message1 = _message1()
    cookie, nonce = bytes(range(16)), bytes(range(100, 112))
    gate_keys = GateKeys.of(Identity(b"\2" * 32).public)
    first, _ = (bytes.fromhex(datagram) for datagram in message1["datagrams"])
    flight = Fragment.decode(first).flight
    datagram = sealed_reply(flight, macs_of(first), cookie, gate_keys.cookie, nonce)
    header = first[:HEADER_BYTES]
    shown = MacWriter(gate_keys.mac1, cookie)(header)
    return {
        "responder_seed": message1["responder_seed"],
        "answered": (header + macs_of(first)).hex(),
        "cid": flight.cid.hex(),
        "message_id": flight.message_id.hex(),
        "nonce": nonce.hex(),
        "cookie": cookie.hex(),
        "datagram": datagram.hex(),
        "header_and_mac1": (header + shown[:MAC_BYTES]).hex(),
        "mac2": shown[MAC_BYTES:].hex(),
        "refused": [
            {"datagram": (b"\x43" + datagram[1:]).hex(), "why": "another type"},
            {"datagram": (datagram[:1] + b"\2" + datagram[2:]).hex(), "why": "version 2"},
            {"datagram": (datagram[:2] + b"\1" + datagram[3:]).hex(), "why": "reserved field not zero"},
            {"datagram": datagram[:-1].hex(), "why": "a byte too few"},
            {"datagram": datagram.hex() + "00", "why": "a byte too many"},
        ],
    }


def sealed_reply(flight: Flight, macs: bytes, cookie: bytes, key: bytes, nonce: bytes) -> bytes:
    """What a responder's engine answers with, made once more. 64 bytes."""
    header = b"\x42\1\0\0" + flight.cid + flight.message_id
    return header + nonce + AESGCM(key).encrypt(nonce, cookie, header + macs)


def _key_schedule() -> dict[str, Any]:
    secret, h2, h3, h4 = b"\x55" * 32, b"\x22" * 32, b"\x33" * 32, b"\x44" * 32
    claim = Claim(b"recordid", 7, b"\xb1" * 32, Capability.AES_256_GCM)
    initiator = Side(Fingerprint(b"\xb0" * 32), claim)
    responder = Side(Fingerprint(b"\xa0" * 32), Claim(b"idrecord", 8, b"\xa1" * 32, Capability.AES_256_GCM))
    final = FinalKeys.derive(secret, h4, initiator, responder)
    without_aes = Side(responder.fingerprint, replace(responder.claim, capabilities=0))
    finished = Finished(final.finished, keys.PSK_EPOCH).encode()
    return {
        "shared_secret": secret.hex(),
        "h2": h2.hex(),
        "h3": h3.hex(),
        "h4": h4.hex(),
        "initiator": _side(initiator),
        "responder": _side(responder),
        "k2": keys.key2(secret, h2).hex(),
        "k3": keys.key3(secret, h3, WITHOUT_RECORD).hex(),
        "k3_record": keys.key3(secret, h3, WITH_RECORD).hex(),
        "k4": final.key4.hex(),
        "finished": final.finished.hex(),
        "psk": final.psk.hex(),
        "psk_without_aes_of_responder": FinalKeys.derive(secret, h4, initiator, without_aes).psk.hex(),
        "probe_key": final.probe_key.hex(),
        "message4": keys.seal(final.key4, h4, finished).hex(),
        "claim": claim.encode().hex(),
        "responder_statement": keys.responder_statement(h2, responder.fingerprint, claim).hex(),
        "initiator_statement": keys.initiator_statement(
            h3, initiator.fingerprint, responder.fingerprint, claim, responder.claim.wireguard_key
        ).hex(),
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "fingerprint": side.fingerprint.raw.hex(),
        "wireguard_key": side.claim.wireguard_key.hex(),
        "capabilities": side.claim.capabilities,
    }


def _ratchet() -> dict[str, Any]:
    """The ciphertexts belong to no encapsulation: FIPS 203 §6.3 defines their secrets all the same."""
    psk = bytes(range(32))
    cid = ratchet_cid(psk)
    chain = []
    for epoch in range(3):
        seed, ciphertext = bytes([epoch]) * 64, bytes([0x80 + epoch]) * 1568
        key = DecapsulationKey(seed)
        shared_secret = key.decapsulate(ciphertext)
        later = next_psk(psk, shared_secret, epoch + 1, key.encapsulation_key, ciphertext)
        messages = [
            RatchetMessage.seal(RatchetStep.OFFER, epoch, psk, cid, key.encapsulation_key),
            RatchetMessage.seal(RatchetStep.ANSWER, epoch, psk, cid, ciphertext),
            RatchetMessage.seal(RatchetStep.CONFIRM, epoch + 1, later, cid),
            RatchetMessage.seal(RatchetStep.DONE, epoch + 1, later, cid),
        ]
        chain.append(
            {
                "epoch": epoch,
                "psk": psk.hex(),
                "kem_seed": seed.hex(),
                "ciphertext": ciphertext.hex(),
                "shared_secret": shared_secret.hex(),
                "next_psk": later.hex(),
                **{message.step.name.lower(): message.encode().hex() for message in messages},
            }
        )
        psk = later
    return {"cid": cid.hex(), "chain": chain}


def _flight(flight: Flight) -> dict[str, Any]:
    return {
        "message": flight.message,
        "cid": flight.cid.hex(),
        "message_id": flight.message_id.hex(),
        "length": flight.length,
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(build(), indent=1) + "\n")
