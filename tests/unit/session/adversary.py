"""Both roles of the protocol by hand, so that a test can lie in any field."""

from __future__ import annotations

from collections.abc import Sequence

from tests.unit.session.harness import identity, record

from shadowmesh.identity.keys import Identity, PublicIdentity
from shadowmesh.identity.names import Fingerprint
from shadowmesh.session import keys
from shadowmesh.session.cookie_reply import CookieReply
from shadowmesh.session.fragments import HEADER_BYTES, Fragment, cut
from shadowmesh.session.kem import DecapsulationKey, encapsulate
from shadowmesh.session.macs import GateKeys, MacWriter, macs_of
from shadowmesh.session.messages import (
    M1_BYTES,
    M2_HEAD_BYTES,
    WITH_RECORD,
    WITHOUT_RECORD,
    Claim,
    InitiatorProof,
    Message1,
    Message2Head,
    ResponderProof,
)


class LyingInitiator:
    """Knows the responder's public key, as everybody may."""

    def __init__(
        self,
        responder: int | PublicIdentity,
        *,
        cid: bytes = b"initiatr",
        suite: int = keys.SUITE,
        seed: int = 0,
    ) -> None:
        self.responder = identity(responder).public if isinstance(responder, int) else responder
        self.cid = cid
        self.decapsulation_key = DecapsulationKey(seed.to_bytes(64, "big"))
        self.message1 = Message1(cid, bytes(32), self.decapsulation_key.encapsulation_key, suite).encode()
        self.h1 = keys.transcript1(self.responder.fingerprint, self.message1)
        self.gate_keys = GateKeys.of(self.responder)
        self.responder_wireguard_key = b""
        self.responder_cid = b""

    @property
    def flight1(self) -> tuple[bytes, ...]:
        return cut(1, self.cid, self.message1, MacWriter(self.gate_keys.mac1)).datagrams

    def flight1_with(self, reply: CookieReply) -> tuple[bytes, ...]:
        """M1 again, with the cookie of a genuine reply."""
        cookie = reply.open(self.gate_keys, macs_of(self.flight1[0]))
        return cut(1, self.cid, self.message1, MacWriter(self.gate_keys.mac1, cookie)).datagrams

    def read(self, datagrams: Sequence[bytes]) -> ResponderProof:
        """Takes the fragments of M2 in order."""
        message = b"".join(datagram[HEADER_BYTES:] for datagram in datagrams)
        head, sealed = message[:M2_HEAD_BYTES], message[M2_HEAD_BYTES:]
        decoded = Message2Head.decode(head)
        self.shared_secret = self.decapsulation_key.decapsulate(decoded.ciphertext)
        h2 = keys.extend(self.h1, head)
        proof = ResponderProof.decode(keys.open_sealed(keys.key2(self.shared_secret, h2), h2, sealed))
        self.h3 = keys.extend(h2, sealed)
        self.responder_cid = decoded.cid
        self.responder_wireguard_key = proof.claim.wireguard_key
        return proof

    def flight3(
        self,
        *,
        named: Fingerprint,
        signer: Identity,
        claim: Claim,
        sent_record: bytes = b"",
        signed_claim: Claim | None = None,
        signed_wireguard_key: bytes | None = None,
        signed_responder: Fingerprint | None = None,
    ) -> tuple[bytes, ...]:
        """M3 that says `named` and `claim`; what is signed may differ from what is said."""
        statement = keys.initiator_statement(
            self.h3,
            named,
            signed_responder or self.responder.fingerprint,
            signed_claim or claim,
            signed_wireguard_key or self.responder_wireguard_key,
        )
        signature = signer.sign(statement, context=keys.INITIATOR_CONTEXT)
        proof = InitiatorProof(named.peer_id, claim, signature, sent_record)
        form = WITH_RECORD if sent_record else WITHOUT_RECORD
        sealed = keys.seal(keys.key3(self.shared_secret, self.h3, form), self.h3, proof.encode())
        return cut(3, self.responder_cid, bytes([form]) + sealed).datagrams


def honest_flight3(liar: LyingInitiator, number: int, *, sent_record: bytes | None = None) -> tuple[bytes, ...]:
    """M3 as the real node of that number would send it."""
    own = record(number)
    return liar.flight3(
        named=identity(number).fingerprint,
        signer=identity(number),
        claim=Claim.of(own),
        sent_record=own.encoded if sent_record is None else sent_record,
    )


def flight2(
    flight1: Sequence[bytes],
    *,
    named: int,
    signer: int,
    claim: Claim | None = None,
    context: bytes = keys.RESPONDER_CONTEXT,
) -> tuple[bytes, ...]:
    """M2 in answer to M1, in the name of one node, signed with the key of another."""
    message1 = b"".join(Fragment.decode(datagram).payload for datagram in flight1)
    assert len(message1) == M1_BYTES
    decoded = Message1.decode(message1)
    shared_secret, ciphertext = encapsulate(decoded.encapsulation_key)
    head = Message2Head(b"respondr", bytes(32), ciphertext)
    fingerprint = identity(named).fingerprint
    h2 = keys.extend(keys.transcript1(fingerprint, message1), head.encode())
    said = claim or Claim.of(record(named))
    signature = identity(signer).sign(keys.responder_statement(h2, fingerprint, said), context=context)
    sealed = keys.seal(keys.key2(shared_secret, h2), h2, ResponderProof(said, signature).encode())
    return cut(2, decoded.cid, head.encode() + sealed).datagrams
