"""COSE_Sign1 and COSE_Sign (RFC 9052 §4) with ML-DSA-87 (alg -50, RFC 9964), the context always empty (RFC 9964 §5).

Domains are separated by `external_aad`. A COSE signature can't be mistaken for one of the live protocol:
its input begins with the CBOR text "Signature1" or "Signature", and those have a context.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shadowmesh.identity.keys import SIGNATURE_BYTES, Identity, PublicIdentity
from shadowmesh.identity.names import Fingerprint
from shadowmesh.wire import cbor
from shadowmesh.wire.errors import DecodeError

ALG_ML_DSA_87 = -50
_ALG, _KID = 1, 4
_PROTECTED = cbor.encode({_ALG: ALG_ML_DSA_87})
_MAX_SIGNERS = 64


def sign1(payload: bytes, identity: Identity, *, external_aad: bytes) -> bytes:
    """An untagged COSE_Sign1: [protected, {}, payload, signature]."""
    signature = identity.sign(_sign1_input(payload, external_aad), context=b"")
    return cbor.encode([_PROTECTED, {}, payload, signature])


@dataclass(frozen=True, slots=True)
class Sign1:
    """A COSE_Sign1 of legal form whose signature is not checked yet."""

    payload: bytes
    signature: bytes  # 4,627 bytes

    @classmethod
    def decode(cls, data: bytes, *, max_bytes: int, what: str) -> Sign1:
        """Raises DecodeError."""
        match cbor.decode(data, max_bytes=max_bytes, what=what):
            case [bytes(protected), dict(unprotected), bytes(payload), bytes(signature)]:
                pass
            case _:
                raise DecodeError(f"{what}: not a COSE_Sign1")
        if protected != _PROTECTED or unprotected:
            raise DecodeError(f"{what}: the headers must name ML-DSA-87 and nothing else")
        if len(signature) != SIGNATURE_BYTES:
            raise DecodeError(f"{what}: a signature of {len(signature)} bytes, want {SIGNATURE_BYTES}")
        return cls(payload, signature)

    def verify(self, signer: PublicIdentity, *, external_aad: bytes) -> None:
        """Raises BadSignature."""
        signer.verify(self.signature, _sign1_input(self.payload, external_aad), context=b"")


@dataclass(frozen=True, slots=True)
class MultiSigned:
    """A COSE_Sign: one payload, signed by several keys that their fingerprints (kid) name."""

    payload: bytes
    signatures: dict[Fingerprint, bytes]

    def encode(self) -> bytes:
        signers = [
            [_PROTECTED, {_KID: fingerprint.raw}, signature]
            for fingerprint, signature in sorted(self.signatures.items())
        ]
        return cbor.encode([b"", {}, self.payload, signers])

    @classmethod
    def decode(cls, data: bytes, *, max_bytes: int, what: str) -> MultiSigned:
        """Raises DecodeError."""
        match cbor.decode(data, max_bytes=max_bytes, what=what):
            case [b"", dict(unprotected), bytes(payload), list(signers)] if not unprotected:
                pass
            case _:
                raise DecodeError(f"{what}: not a COSE_Sign")
        if not 0 < len(signers) <= _MAX_SIGNERS:
            raise DecodeError(f"{what}: {len(signers)} signatures, 1 to {_MAX_SIGNERS} allowed")
        signatures = dict(_signer(signer, what) for signer in signers)
        if list(signatures) != sorted(signatures) or len(signatures) != len(signers):
            raise DecodeError(f"{what}: signatures are not in the order of their keys")
        return cls(payload, signatures)

    def signed_also_by(self, identity: Identity, *, external_aad: bytes) -> MultiSigned:
        signature = identity.sign(_sign_input(self.payload, external_aad), context=b"")
        return MultiSigned(self.payload, {**self.signatures, identity.fingerprint: signature})

    def verify(self, signer: PublicIdentity, *, external_aad: bytes) -> None:
        """Checks the signature of this one key. Raises BadSignature, KeyError when it has not signed."""
        signature = self.signatures[signer.fingerprint]
        signer.verify(signature, _sign_input(self.payload, external_aad), context=b"")


def _signer(item: Any, what: str) -> tuple[Fingerprint, bytes]:
    match item:
        case [bytes(protected), dict(unprotected), bytes(signature)] if (
            protected == _PROTECTED and list(unprotected) == [_KID] and len(signature) == SIGNATURE_BYTES
        ):
            if isinstance(unprotected[_KID], bytes):
                return Fingerprint(unprotected[_KID]), signature
    raise DecodeError(f"{what}: a malformed COSE_Signature")


def _sign1_input(payload: bytes, external_aad: bytes) -> bytes:
    """Sig_structure of RFC 9052 §4.4, context "Signature1"."""
    return cbor.encode(["Signature1", _PROTECTED, external_aad, payload])


def _sign_input(payload: bytes, external_aad: bytes) -> bytes:
    """Sig_structure of RFC 9052 §4.4, context "Signature": body and signer headers both."""
    return cbor.encode(["Signature", b"", _PROTECTED, external_aad, payload])
