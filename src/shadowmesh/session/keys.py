"""Transcript hashes, keys and what is signed. Spec: docs/spec/session.md, section 5.

One hash function throughout, SHA-256: in HKDF (RFC 5869), in HMAC (RFC 2104), and over the transcript. Each AES key
seals one plaintext in its life, which is why the nonce is zero.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shadowmesh.identity.names import Fingerprint
from shadowmesh.session.cipher import Cipher, agreed_cipher
from shadowmesh.session.drops import Dropped
from shadowmesh.session.events import DropReason
from shadowmesh.session.fragments import SESSION_VERSION
from shadowmesh.session.messages import WITH_RECORD, Claim

SUITE = 1
"""ML-KEM-1024, ML-DSA-87, SHA-256, AES-256-GCM."""
RESPONDER_CONTEXT = b"shadowmesh/v1/session-resp"
INITIATOR_CONTEXT = b"shadowmesh/v1/session-init"
PSK_EPOCH = 0

_TRANSCRIPT_LABEL = b"shadowmesh/v1/session"
_PSK_LABEL = b"shadowmesh/v1/psk/"
_PROBE_LABEL = b"shadowmesh/v1/probe"
_VERSION_AND_SUITE = bytes([SESSION_VERSION]) + SUITE.to_bytes(2, "big")
_NONCE = bytes(12)


def transcript1(responder: Fingerprint, message1: bytes) -> bytes:
    """h1: version, suite, whom M1 is for, and M1."""
    return hashlib.sha256(_TRANSCRIPT_LABEL + _VERSION_AND_SUITE + responder.raw + message1).digest()


def extend(transcript: bytes, part: bytes) -> bytes:
    """The next transcript hash: h2 by the head of M2, h3 by its sealed part, h4 by the core of M3."""
    return hashlib.sha256(transcript + part).digest()


def key2(shared_secret: bytes, h2: bytes) -> bytes:
    return _derive(shared_secret, h2, b"shadowmesh/v1/session/k2")


def key3(shared_secret: bytes, h3: bytes, form: int) -> bytes:
    """One key a form of M3: under one key, two plaintexts with the same nonce would betray both (SP 800-38D §8)."""
    return _derive(shared_secret, h3, b"shadowmesh/v1/session/k3" + (b"/record" if form == WITH_RECORD else b""))


@dataclass(frozen=True, slots=True)
class Side:
    """Who somebody is in the exchange, and what it signed of itself: both sides are in every key."""

    fingerprint: Fingerprint
    claim: Claim


@dataclass(frozen=True, slots=True)
class FinalKeys:
    key4: bytes = field(repr=False)
    finished: bytes = field(repr=False)  # the MAC itself, 32 bytes
    psk: bytes = field(repr=False)
    probe_key: bytes = field(repr=False)
    cipher: Cipher  # which the PSK is for, and no other

    @classmethod
    def derive(cls, shared_secret: bytes, h4: bytes, initiator: Side, responder: Side) -> FinalKeys:
        low, high = sorted((initiator, responder), key=lambda side: side.fingerprint.peer_id)
        names = low.fingerprint.peer_id.raw + high.fingerprint.peer_id.raw
        both = names + low.claim.wireguard_key + high.claim.wireguard_key
        cipher = agreed_cipher(initiator.claim, responder.claim)
        finished_key = _derive(shared_secret, h4, b"shadowmesh/v1/session/finished")
        return cls(
            key4=_derive(shared_secret, h4, b"shadowmesh/v1/session/k4"),
            finished=hmac.digest(finished_key, h4, "sha256"),
            psk=_derive(shared_secret, h4, _PSK_LABEL + cipher.value.encode() + both),
            probe_key=_derive(shared_secret, h4, _PROBE_LABEL + both),
            cipher=cipher,
        )


def responder_statement(h2: bytes, responder: Fingerprint, claim: Claim) -> bytes:
    """What R signs in M2."""
    return h2 + _VERSION_AND_SUITE + responder.raw + claim.encode()


def initiator_statement(
    h3: bytes, initiator: Fingerprint, responder: Fingerprint, claim: Claim, responder_wireguard_key: bytes
) -> bytes:
    """What I signs in M3: both names and both WireGuard keys."""
    return h3 + _VERSION_AND_SUITE + initiator.raw + responder.raw + claim.encode() + responder_wireguard_key


def seal(key: bytes, transcript: bytes, plaintext: bytes) -> bytes:
    """AES-256-GCM, nonce zero, the transcript hash as associated data. 16 bytes longer than the plaintext."""
    return AESGCM(key).encrypt(_NONCE, plaintext, transcript)


def open_sealed(key: bytes, transcript: bytes, sealed: bytes) -> bytes:
    """Raises Dropped."""
    try:
        return AESGCM(key).decrypt(_NONCE, sealed, transcript)
    except InvalidTag:
        raise Dropped(DropReason.UNDECRYPTABLE) from None


def _derive(shared_secret: bytes, transcript: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), length=32, salt=transcript, info=info).derive(shared_secret)
