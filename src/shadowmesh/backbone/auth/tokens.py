"""Tokens: JWT (RFC 7519), HS256 only, with the proof key sealed inside, so that the server keeps no session."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from shadowmesh.backbone.auth.token_keys import TokenKeys
from shadowmesh.backbone.clock import Clock
from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.limits.bounded_table import BoundedTable
from shadowmesh.backbone_protocol.login import MAX_TOKEN_BYTES
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.identity.names import Fingerprint, PeerID, parse_name
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.errors import DecodeError

TOKEN_LIFETIME_S = 24 * 3600
RENEWABLE_FOR_S = 7 * 86_400
_AUDIENCE = "shadowmesh"
_ALGORITHMS = ["HS256"]
_SEAL_INFO = b"shadowmesh/v1/token-proof-key"
_SEAL_NONCE_BYTES = 12
_JTI_BYTES = 16
_MAX_REMEMBERED = (
    8192  # 8 MB of checked tokens: a look-up then costs a table access instead of a MAC and two JSON texts
)


class _Confirmation(msgspec.Struct, forbid_unknown_fields=True):
    """RFC 7800 §3.1 with a member of our own: the key is not for the client to read."""

    sealed: str


class _Claims(msgspec.Struct):
    iss: str
    sub: str
    aud: str
    iat: int
    exp: int
    jti: str
    auth_time: int
    cnf: _Confirmation


@dataclass(frozen=True, slots=True)
class Session:
    """What a token that was checked says."""

    peer: PeerID
    token_id: str
    expires_at: int
    authenticated_at: int  # of the log-in that the token, or its forebears, began with
    sealed_proof_key: bytes = field(repr=False)
    kid: str


class Tokens:
    def __init__(self, issuer: PeerID, keys: TokenKeys, clock: Clock, entropy: Entropy) -> None:
        self._issuer = str(issuer)
        self._keys = keys
        self._clock = clock
        self._entropy = entropy
        self._checked: BoundedTable[str, Session] = BoundedTable(_MAX_REMEMBERED)

    def issue(self, peer: PeerID, proof_key: bytes, *, authenticated_at: int | None = None) -> tuple[str, int]:
        """The token and when it expires, in seconds since 1970."""
        kid, key = self._keys.current()
        now = int(self._clock())
        expires_at = now + TOKEN_LIFETIME_S
        jti = _text(self._entropy(_JTI_BYTES))
        nonce = self._entropy(_SEAL_NONCE_BYTES)
        sealed = nonce + _sealer(key).encrypt(nonce, proof_key, _associated(jti, peer))
        claims = _Claims(
            iss=self._issuer,
            sub=str(peer),
            aud=_AUDIENCE,
            iat=now,
            exp=expires_at,
            jti=jti,
            auth_time=now if authenticated_at is None else authenticated_at,
            cnf=_Confirmation(_text(sealed)),
        )
        header = {"alg": "HS256", "kid": kid}
        return jwt.encode(header, msgspec.to_builtins(claims), OctKey.import_key(key), _ALGORITHMS), expires_at

    def check(self, token: str) -> Session:
        """Raises Refused (TOKEN_INVALID, TOKEN_EXPIRED)."""
        session = self._checked.get(token)
        if session is None:
            session = self._check(token)
            self._checked.put(token, session)
        if self._clock() >= session.expires_at or self._keys.find(session.kid) is None:
            self._checked.forget(token)
            raise Refused(Problem.TOKEN_EXPIRED)
        return session

    def proof_key(self, session: Session) -> bytes:
        """K of the log-in, 32 bytes. Raises Refused (TOKEN_INVALID, TOKEN_EXPIRED)."""
        key = self._keys.find(session.kid)
        if key is None:
            raise Refused(Problem.TOKEN_EXPIRED)
        nonce, sealed = session.sealed_proof_key[:_SEAL_NONCE_BYTES], session.sealed_proof_key[_SEAL_NONCE_BYTES:]
        try:
            return _sealer(key).decrypt(nonce, sealed, _associated(session.token_id, session.peer))
        except (InvalidTag, ValueError):
            raise Refused(Problem.TOKEN_INVALID) from None

    def _check(self, token: str) -> Session:
        if len(token) > MAX_TOKEN_BYTES or not token.isascii():
            raise Refused(Problem.TOKEN_INVALID)
        kid = _kid(token)
        key = self._keys.find(kid)
        if key is None:
            raise Refused(Problem.TOKEN_INVALID, "made with a key that this backbone does not hold")
        try:
            payload = jwt.decode(token, OctKey.import_key(key), _ALGORITHMS).claims
            claims = msgspec.convert(payload, _Claims)
            peer = parse_name(claims.sub)
            sealed = base64.urlsafe_b64decode(claims.cnf.sealed + "==")
        except (JoseError, msgspec.ValidationError, DecodeError, binascii.Error):
            raise Refused(Problem.TOKEN_INVALID) from None
        if claims.iss != self._issuer or claims.aud != _AUDIENCE or isinstance(peer, Fingerprint):
            raise Refused(Problem.TOKEN_INVALID)
        return Session(peer, claims.jti, claims.exp, claims.auth_time, sealed, kid)


class _Header(msgspec.Struct):
    alg: str
    kid: str


def _kid(token: str) -> str:
    """From a header that is not checked yet: it only chooses the key that then must fit."""
    encoded = token.partition(".")[0]
    try:
        header = msgspec.json.decode(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)), type=_Header)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        raise Refused(Problem.TOKEN_INVALID) from None
    if header.alg not in _ALGORITHMS:
        raise Refused(Problem.TOKEN_INVALID, "tokens are HS256 and nothing else")
    return header.kid


def _sealer(token_key: bytes) -> AESGCM:
    return AESGCM(HKDF(hashes.SHA256(), length=32, salt=None, info=_SEAL_INFO).derive(token_key))


def _associated(jti: str, peer: PeerID) -> bytes:
    return jti.encode() + peer.raw


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
