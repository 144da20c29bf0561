"""Log-in: challenge, signed request, signed reply, and the key that proves possession of the token.

Spec: docs/spec/backbone.md, section 2. The challenge is the server's and used once; the client signs it together
with the server's PeerID and the URL authority, so that a signature is good for one server and one moment.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Any

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shadowmesh.backbone_protocol.body import Body
from shadowmesh.identity.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, BadSignature, Identity, PublicIdentity
from shadowmesh.identity.names import PEER_ID_BYTES, PeerID
from shadowmesh.wire import cbor
from shadowmesh.wire.errors import DecodeError

CLIENT_CONTEXT = b"shadowmesh/v1/login-client"
SERVER_CONTEXT = b"shadowmesh/v1/login-server"
_PROOF_KEY_INFO = b"shadowmesh/v1/login-proof-key"
_CONFIRMATION = b"shadowmesh/v1/login-confirmation"
CHALLENGE_BYTES = 32
TAG_BYTES = 16
NONCE_BYTES = 32
MLKEM1024_KEY_BYTES = 1568
MLKEM1024_CIPHERTEXT_BYTES = 1568
MAX_TOKEN_BYTES = 1024

Bytes16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Bytes20 = Annotated[bytes, msgspec.Meta(min_length=PEER_ID_BYTES, max_length=PEER_ID_BYTES)]
Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Bytes1568 = Annotated[bytes, msgspec.Meta(min_length=1568, max_length=1568)]
PublicKeyBytes = Annotated[bytes, msgspec.Meta(min_length=PUBLIC_KEY_BYTES, max_length=PUBLIC_KEY_BYTES)]
SignatureBytes = Annotated[bytes, msgspec.Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)]
Seconds = Annotated[int, msgspec.Meta(ge=0, lt=2**40)]
Octet = Annotated[int, msgspec.Meta(ge=0, le=255)]
Token = Annotated[str, msgspec.Meta(max_length=MAX_TOKEN_BYTES)]


class Challenge(Body, frozen=True):
    """What the server hands out, and remembers nothing of: the tag brings it back."""

    challenge: Bytes32
    expires: Seconds  # seconds since 1970, by the server's clock
    tag: Bytes16
    server: Bytes20  # the server's PeerID


class LoginRequest(Body, frozen=True):
    """First time 9.0 KB; 6.4 KB when the server holds the public key already. `sig` is empty until it is signed."""

    challenge: Bytes32
    expires: Seconds
    tag: Bytes16
    client_nonce: Bytes32
    peer_id: Bytes20
    ek: Bytes1568  # ephemeral ML-KEM-1024 encapsulation key
    mode: Octet  # records.peer_record.Mode
    region: Octet
    public_key: PublicKeyBytes | None = None
    sig: SignatureBytes | None = None

    def signed_by(self, identity: Identity, server: PeerID, authority: str) -> LoginRequest:
        """`authority`: host, and port unless it is the scheme's own, of the URL that the client uses, in lower case."""
        signature = identity.sign(self._signed_bytes(server, authority), context=CLIENT_CONTEXT)
        return msgspec.structs.replace(self, sig=signature)

    def verify(self, client: PublicIdentity, server: PeerID, authority: str) -> None:
        """Raises BadSignature."""
        client.verify(self.sig or b"", self._signed_bytes(server, authority), context=CLIENT_CONTEXT)

    def digest(self) -> bytes:
        """SHA-256 of the request's canonical CBOR, signature included: what the reply answers to."""
        return hashlib.sha256(cbor.encode(_fields(self))).digest()

    def _signed_bytes(self, server: PeerID, authority: str) -> bytes:
        fields = _fields(self)
        fields.pop("sig", None)
        return cbor.encode({**fields, "server": server.raw, "authority": authority})


class LoginReply(Body, frozen=True):
    """6.9 KB. `sig` and `confirmation` are filled in this order by `signed_by` and `confirmed`."""

    ct: Bytes1568  # ML-KEM-1024 ciphertext
    token: Token
    token_expires: Seconds
    directory_version: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    next_challenge: Challenge
    sig: SignatureBytes | None = None
    confirmation: Bytes32 | None = None

    def signed_by(self, server: Identity, request: LoginRequest) -> LoginReply:
        return msgspec.structs.replace(self, sig=server.sign(self._signed_bytes(request), context=SERVER_CONTEXT))

    def verify(self, server: PublicIdentity, request: LoginRequest) -> None:
        """Raises BadSignature."""
        server.verify(self.sig or b"", self._signed_bytes(request), context=SERVER_CONTEXT)

    def confirmed(self, proof_key: bytes) -> LoginReply:
        return msgspec.structs.replace(self, confirmation=self._confirmation(proof_key))

    def check_confirmation(self, proof_key: bytes) -> None:
        """Raises BadSignature when the server did not get the key that we did."""
        if not hmac.compare_digest(self.confirmation or b"", self._confirmation(proof_key)):
            raise BadSignature("log-in reply: the server does not confirm the key")

    def proof_key(self, shared_secret: bytes, request: LoginRequest) -> bytes:
        """K, 32 bytes."""
        return proof_key(shared_secret, request, self.ct)

    def _signed_bytes(self, request: LoginRequest) -> bytes:
        fields = _fields(self)
        fields.pop("sig", None)
        fields.pop("confirmation", None)
        return cbor.encode({**fields, "request": request.digest()})

    def _confirmation(self, proof_key: bytes) -> bytes:
        fields = _fields(self)
        fields.pop("confirmation", None)
        return hmac.digest(proof_key, _CONFIRMATION + cbor.encode(fields), "sha256")


class RenewalReply(Body, frozen=True):
    """About 0.6 KB. Bound to the old token's key K, which the new token keeps."""

    token: Token
    token_expires: Seconds
    directory_version: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    next_challenge: Challenge


def proof_key(shared_secret: bytes, request: LoginRequest, ct: bytes) -> bytes:
    """K, 32 bytes: HKDF-SHA-256 of the ML-KEM secret, salted with SHA-256(digest of the request, ct).

    The reply's token and signature are not in the salt, because the token carries K sealed. The reply's
    confirmation binds both to K.
    """
    transcript = hashlib.sha256(request.digest() + ct).digest()
    return HKDF(hashes.SHA256(), length=32, salt=transcript, info=_PROOF_KEY_INFO).derive(shared_secret)


def claimed_identity(request: LoginRequest) -> PublicIdentity | None:
    """The key in the request, if it carries one. Raises DecodeError when it is not the key of its PeerID."""
    if request.public_key is None:
        return None
    identity = PublicIdentity(request.public_key)
    if identity.peer_id.raw != request.peer_id:
        raise DecodeError("LoginRequest: the public key is not the one that the PeerID names")
    return identity


def _fields(body: Body) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(body, builtin_types=(bytes,))
    return fields
