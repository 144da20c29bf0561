"""The key file: a node's seed, in the clear or sealed with a passphrase. Spec: docs/spec/identity.md, section 3.

JSON, so that a person can see what it is. Only bytes in and out here: reading and writing it durably with
mode 0600 is the business of `shadowmesh.files`.
"""

from __future__ import annotations

import base64
import unicodedata
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from shadowmesh.identity.keys import SEED_BYTES, Identity
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.errors import DecodeError

MAX_KEY_FILE_BYTES = 4096
_SALT_BYTES = 16
_NONCE_BYTES = 12
# OWASP's first choice for scrypt: 128 MiB and about 0.3 s for each guess.
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**17, 8, 1
_ASSOCIATED_DATA = b"shadowmesh/v1/key-file"


class WrongPassphrase(ValueError):
    """The passphrase does not open the key file."""


class PassphraseNeeded(ValueError):
    """The key file is sealed and no passphrase was given."""


class _Plain(msgspec.Struct, tag="plain", tag_field="kind", forbid_unknown_fields=True):
    format: Literal["shadowmesh-key-1"]
    fingerprint: str
    seed: str


class _Sealed(msgspec.Struct, tag="scrypt-aes256gcm", tag_field="kind", forbid_unknown_fields=True):
    format: Literal["shadowmesh-key-1"]
    fingerprint: str
    salt: str
    nonce: str
    sealed_seed: str


def encode(identity: Identity, passphrase: str | None, entropy: Entropy) -> bytes:
    """With a passphrase the seed is sealed with AES-256-GCM under a scrypt key (RFC 7914)."""
    name = str(identity.fingerprint)
    document: _Plain | _Sealed
    if passphrase is None:
        document = _Plain("shadowmesh-key-1", name, _text(identity.seed))
    else:
        salt, nonce = entropy(_SALT_BYTES), entropy(_NONCE_BYTES)
        sealed = AESGCM(_stretch(passphrase, salt)).encrypt(nonce, identity.seed, _ASSOCIATED_DATA)
        document = _Sealed("shadowmesh-key-1", name, _text(salt), _text(nonce), _text(sealed))
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode(data: bytes, passphrase: str | None) -> Identity:
    """Raises DecodeError, PassphraseNeeded, WrongPassphrase. A seed that is not the named key's is a DecodeError."""
    document = _document(data)
    seed = _bytes(document.seed, SEED_BYTES) if isinstance(document, _Plain) else _open(document, passphrase)
    identity = Identity(seed)
    if str(identity.fingerprint) != document.fingerprint:
        raise DecodeError("key file: the seed does not belong to the fingerprint beside it")
    return identity


def is_sealed(data: bytes) -> bool:
    """Whether `decode` needs a passphrase. Raises DecodeError."""
    return isinstance(_document(data), _Sealed)


def _document(data: bytes) -> _Plain | _Sealed:
    if len(data) > MAX_KEY_FILE_BYTES:
        raise DecodeError(f"key file: {len(data)} bytes, at most {MAX_KEY_FILE_BYTES} allowed")
    try:
        document: _Plain | _Sealed = msgspec.json.decode(data, type=_Plain | _Sealed)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"key file: {error}") from None
    return document


def _open(document: _Sealed, passphrase: str | None) -> bytes:
    if passphrase is None:
        raise PassphraseNeeded("the key file is sealed with a passphrase")
    key = _stretch(passphrase, _bytes(document.salt, _SALT_BYTES))
    sealed = _bytes(document.sealed_seed, SEED_BYTES + 16)
    try:
        return AESGCM(key).decrypt(_bytes(document.nonce, _NONCE_BYTES), sealed, _ASSOCIATED_DATA)
    except InvalidTag:
        raise WrongPassphrase("the passphrase does not open the key file") from None


def _stretch(passphrase: str, salt: bytes) -> bytes:
    # NFC, because keyboards differ in how they spell an accent (RFC 8265 §4.2.2).
    secret = unicodedata.normalize("NFC", passphrase).encode(errors="surrogatepass")
    return Scrypt(salt=salt, length=32, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P).derive(secret)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str, length: int) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:  # binascii.Error, and the plain one for a text that is not ASCII
        raise DecodeError("key file: not base64") from None
    if len(data) != length:
        raise DecodeError(f"key file: a field of {len(data)} bytes, want {length}")
    return data
