"""ML-DSA-87 keys (FIPS 204), pure and hedged, always with a domain separation context but for COSE objects."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA87PrivateKey, MLDSA87PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.errors import DecodeError

SEED_BYTES = 32
PUBLIC_KEY_BYTES = 2592
SIGNATURE_BYTES = 4627
MAX_CONTEXT_BYTES = 255


class BadSignature(ValueError):
    """The signature is not this key's over this message in this context."""


@dataclass(frozen=True)
class PublicIdentity:
    """Somebody's public key."""

    public_key: bytes = field(repr=False)  # 2,592 bytes

    def __post_init__(self) -> None:
        if len(self.public_key) != PUBLIC_KEY_BYTES:
            raise DecodeError(f"ML-DSA-87 public key: {len(self.public_key)} bytes, want {PUBLIC_KEY_BYTES}")

    @cached_property
    def fingerprint(self) -> Fingerprint:
        return Fingerprint(hashlib.sha256(self.public_key).digest())

    @property
    def peer_id(self) -> PeerID:
        return self.fingerprint.peer_id

    def verify(self, signature: bytes, message: bytes, *, context: bytes) -> None:
        """ML-DSA.Verify (FIPS 204 §5.3), about 0.2 ms. Raises BadSignature, for every malformed input too."""
        if len(signature) != SIGNATURE_BYTES or len(context) > MAX_CONTEXT_BYTES:
            raise BadSignature("signature: wrong length")
        try:
            self._key.verify(signature, message, context=context)
        except InvalidSignature:
            raise BadSignature("signature: does not verify") from None

    @cached_property
    def _key(self) -> MLDSA87PublicKey:
        try:
            return MLDSA87PublicKey.from_public_bytes(self.public_key)
        except ValueError:
            raise BadSignature("signature: the public key is malformed") from None


class Identity:
    """One's own key: the 32-byte seed of FIPS 204 §5.1 (xi) and what it gives. Never printed, never logged."""

    def __init__(self, seed: bytes) -> None:
        """Raises ValueError for another length, RuntimeError where the crypto library has no ML-DSA."""
        if len(seed) != SEED_BYTES:
            raise ValueError(f"ML-DSA-87 seed: {len(seed)} bytes, want {SEED_BYTES}")
        self._seed = seed
        try:
            self._key = MLDSA87PrivateKey.from_seed_bytes(seed)
        except UnsupportedAlgorithm as error:
            raise RuntimeError(
                "this build of the `cryptography` library has no ML-DSA: install version 49 or newer from PyPI"
            ) from error
        self.public = PublicIdentity(self._key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        return cls(entropy(SEED_BYTES))

    @property
    def seed(self) -> bytes:
        return self._seed

    @property
    def peer_id(self) -> PeerID:
        return self.public.peer_id

    @property
    def fingerprint(self) -> Fingerprint:
        return self.public.fingerprint

    def sign(self, message: bytes, *, context: bytes) -> bytes:
        """ML-DSA.Sign (FIPS 204 §5.2), hedged: 4,627 bytes, about 0.8 ms with a long tail."""
        return self._key.sign(message, context=context)

    def derive(self, label: bytes) -> bytes:
        """32 bytes that only this identity has, one value a label (HKDF-SHA-256, RFC 5869)."""
        return HKDF(hashes.SHA256(), length=32, salt=None, info=label).derive(self._seed)

    def __repr__(self) -> str:
        return f"Identity({self.fingerprint})"
