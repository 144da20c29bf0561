"""One log-in, the key that it gives, and a proof made with that key."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM1024PrivateKey
from people import ALICE, BOB, NOW, Case

from shadowmesh.backbone_protocol.body import encode_cbor, encode_json
from shadowmesh.backbone_protocol.login import Challenge, LoginReply, LoginRequest
from shadowmesh.backbone_protocol.proof import Proof
from shadowmesh.wire import cbor

AUTHORITY = "eu.example.org:8443"
EK_SEED = bytes(range(64))


def login_vectors() -> Case:
    secret = MLKEM1024PrivateKey.from_seed_bytes(EK_SEED)
    unsigned = LoginRequest(
        challenge=b"\x11" * 32,
        expires=NOW + 90,
        tag=b"\x22" * 16,
        client_nonce=b"\x33" * 32,
        peer_id=ALICE.peer_id.raw,
        ek=secret.public_key().public_bytes_raw(),
        mode=1,
        region=3,
        public_key=ALICE.public.public_key,
    )
    request = unsigned.signed_by(ALICE, BOB.peer_id, AUTHORITY)
    shared_secret, ct = secret.public_key().encapsulate()
    next_challenge = Challenge(b"\x44" * 32, NOW + 180, b"\x55" * 16, BOB.peer_id.raw)
    reply = LoginReply(ct, "header.claims.mac", NOW + 86_400, NOW, next_challenge).signed_by(BOB, request)
    key = reply.proof_key(shared_secret, request)
    return {
        "client_seed": ALICE.seed.hex(),
        "server_seed": BOB.seed.hex(),
        "authority": AUTHORITY,
        "ek_seed": EK_SEED.hex(),
        "request": encode_cbor(request).hex(),
        "request_json": encode_json(request).decode(),
        "request_signed_bytes_sha256": hashlib.sha256(
            cbor.encode({**fields(unsigned), "server": BOB.peer_id.raw, "authority": AUTHORITY})
        ).hexdigest(),
        "request_digest": request.digest().hex(),
        "shared_secret": shared_secret.hex(),
        "reply": encode_cbor(reply.confirmed(key)).hex(),
        "proof_key": key.hex(),
        "proofs": [proof(key, *case) for case in PROOFS],
    }


PROOFS = (
    ("POST", "/v1/auth/renew", b"", NOW, 1),
    ("POST", "/v1/records", b"\x84\x43\xa1\x01", 0, 2**53),
    ("POST", "/v1/auth/renew?x=%20", b"body", NOW, 3),
)


def proof(key: bytes, method: str, path: str, body: bytes, issued_at: int, counter: int) -> Case:
    made = Proof.make(key, method, path, body, issued_at=issued_at, counter=counter)
    return {
        "method": method,
        "path": path,
        "body": body.hex(),
        "issued_at": issued_at,
        "counter": counter,
        "header": made.header(),
    }


def fields(request: LoginRequest) -> Case:
    """All but `sig`."""
    return {name: getattr(request, name) for name in request.__struct_fields__ if name != "sig"}
