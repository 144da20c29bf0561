"""Talks to one backbone node as its client. Spec: docs/spec/backbone.md.

The server is believed only when it signs with the key whose fingerprint is pinned: TLS guards the way, not the end.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM1024PrivateKey

from shadowmesh.backbone_protocol.body import CBOR_MEDIA_TYPE, COSE_MEDIA_TYPE, B, Body, decode_cbor, encode_cbor
from shadowmesh.backbone_protocol.login import Challenge, LoginReply, LoginRequest, RenewalReply
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.proof import PROOF_HEADER, Proof
from shadowmesh.backbone_protocol.queries import PeerReply
from shadowmesh.identity.keys import BadSignature, Identity, PublicIdentity
from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.node.backbone_http import BackboneHttp, BackboneRefused
from shadowmesh.node.storage import Storage
from shadowmesh.node.updates_socket import UPDATES_PATH, UpdatesSocket
from shadowmesh.records.directory import MAX_DIRECTORY_BYTES, SignedDirectory
from shadowmesh.records.hints import Hints
from shadowmesh.records.peer_record import Mode, SignedRecord
from shadowmesh.wire.clock import WallClock
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.errors import DecodeError

MAX_REPLY_BYTES = 16 * 1024
"""A log-in reply is 7 KB, a look-up with its record 8 KB."""
_MLKEM_SEED_BYTES = 64
_STALE_CHALLENGE = (Problem.CHALLENGE_EXPIRED, Problem.CHALLENGE_FORGED, Problem.CHALLENGE_REPLAYED)


@dataclass(frozen=True, slots=True)
class LoggedIn:
    token_expires_at: int  # seconds since 1970
    directory_version: int


@dataclass(frozen=True, slots=True)
class Found:
    record_id: bytes
    hints: Hints
    record: SignedRecord | None  # None: the caller has it


@dataclass(slots=True)
class _Session:
    """What a log-in gave. `counter` rises with every proof made with `key`."""

    token: str = field(repr=False)
    key: bytes = field(repr=False)
    counter: int = 0


class BackboneClient:
    """One server, one log-in. Every method that asks the server raises BackboneRefused."""

    def __init__(
        self,
        http: BackboneHttp,
        fingerprint: Fingerprint,
        identity: Identity,
        storage: Storage,
        *,
        mode: Mode,
        region: int,
        entropy: Entropy,
        wall_clock: WallClock,
    ) -> None:
        self._http = http
        self._fingerprint = fingerprint
        self._identity = identity
        self._storage = storage
        self._mode = mode
        self._region = region
        self._entropy = entropy
        self._wall_clock = wall_clock
        self._session: _Session | None = None
        self._next_challenge: Challenge | None = None
        self._introduced = False  # the server holds our public key, as far as we know
        self._proofs = asyncio.Lock()  # counters must arrive in the order in which they rise

    async def log_in(self) -> LoggedIn:
        """One round trip while a challenge from an earlier reply is fresh, else two; three at the first contact."""
        server = await self._server_key()
        try:
            return await self._log_in_with(self._take_challenge() or await self._fetch_challenge(), server)
        except BackboneRefused as refused:
            if refused.problem not in _STALE_CHALLENGE:
                raise
        return await self._log_in_with(await self._fetch_challenge(), server)

    async def renew(self) -> LoggedIn:
        answer = await self._prove("POST", "/v1/auth/renew", b"", CBOR_MEDIA_TYPE)
        reply = self._decode(answer, RenewalReply)
        self._logged_in().token = reply.token
        self._next_challenge = reply.next_challenge
        return LoggedIn(reply.token_expires, reply.directory_version)

    async def directory(self) -> bytes:
        """As the server sent it: whoever uses it must accept it first."""
        answer = await self._http.request(
            "GET", "/v1/directory", headers={"Accept": COSE_MEDIA_TYPE}, max_bytes=MAX_DIRECTORY_BYTES
        )
        return answer.body

    async def publish(self, record: SignedRecord) -> None:
        await self._prove("POST", "/v1/records", record.encoded, COSE_MEDIA_TYPE)

    async def look_up(self, peer: PeerID, have: bytes | None) -> Found | None:
        """None when the server does not know the peer. The record is decoded, not yet believed."""
        query = f"?have={have.hex()}" if have else ""
        try:
            answer = await self._http.request(
                "GET",
                f"/v1/peers/{peer}{query}",
                headers=self._bearer() | {"Accept": CBOR_MEDIA_TYPE},
                max_bytes=MAX_REPLY_BYTES,
            )
        except BackboneRefused as refused:
            if refused.problem is Problem.PEER_UNKNOWN:
                return None
            raise
        reply = self._decode(answer.body, PeerReply)
        try:
            record = None if reply.record is None else SignedRecord.decode(reply.record)
            return Found(reply.record_id, Hints.decode(reply.hints), record)
        except DecodeError as error:
            raise self._nonsense(error) from None

    async def open_updates(self) -> UpdatesSocket:
        async with self._proofs:
            headers = self._bearer() | self._proof("GET", UPDATES_PATH, b"")
            return await UpdatesSocket.open(self._http, headers)

    async def drop_connections(self) -> None:
        """What is on its way fails; the log-in stays."""
        await self._http.drop_connections()

    async def close(self) -> None:
        self._session = None
        await self._http.close()

    async def _log_in_with(self, challenge: Challenge, server: PublicIdentity) -> LoggedIn:
        try:
            return await self._attempt(challenge, server, introduce=not self._introduced)
        except BackboneRefused as refused:
            if refused.problem is not Problem.PUBLIC_KEY_NEEDED or not self._introduced:
                raise
        # The server says so before it uses the challenge up: docs/spec/backbone.md, section 2.
        return await self._attempt(challenge, server, introduce=True)

    async def _attempt(self, challenge: Challenge, server: PublicIdentity, *, introduce: bool) -> LoggedIn:
        if challenge.server != server.peer_id.raw:
            raise BackboneRefused(None, f"{self._http.authority} is another server than the one that is pinned")
        ephemeral = MLKEM1024PrivateKey.from_seed_bytes(self._entropy(_MLKEM_SEED_BYTES))
        request = LoginRequest(
            challenge=challenge.challenge,
            expires=challenge.expires,
            tag=challenge.tag,
            client_nonce=self._entropy(32),
            peer_id=self._identity.peer_id.raw,
            ek=ephemeral.public_key().public_bytes_raw(),
            mode=self._mode.value,
            region=self._region,
            public_key=self._identity.public.public_key if introduce else None,
        ).signed_by(self._identity, server.peer_id, self._http.authority)
        answer = await self._post("/v1/auth/login", request)
        reply = self._decode(answer, LoginReply)
        try:
            reply.verify(server, request)
            key = reply.proof_key(ephemeral.decapsulate(reply.ct), request)
            reply.check_confirmation(key)
        except BadSignature as error:
            raise BackboneRefused(None, f"{self._http.authority} does not prove the pinned key: {error}") from None
        self._session = _Session(reply.token, key)
        self._introduced = True
        self._next_challenge = reply.next_challenge
        return LoggedIn(reply.token_expires, reply.directory_version)

    async def _server_key(self) -> PublicIdentity:
        """The whole key that the pin is the hash of: kept, or once from the directory that the server serves."""
        known = self._storage.backbone_key(self._fingerprint)
        if known is not None:
            self._introduced = True
            return known
        try:
            nodes = SignedDirectory.decode(await self.directory()).directory.nodes
        except DecodeError as error:
            raise self._nonsense(error) from None
        for node in nodes:
            if node.fingerprint == self._fingerprint:
                self._storage.save_backbone_key(node.public)
                return node.public
        raise BackboneRefused(
            None, f"{self._http.authority} does not name the pinned key {self._fingerprint}: wrong URL, or an impostor"
        )

    async def _fetch_challenge(self) -> Challenge:
        answer = await self._http.request(
            "GET", "/v1/auth/challenge", headers={"Accept": CBOR_MEDIA_TYPE}, max_bytes=MAX_REPLY_BYTES
        )
        return self._decode(answer.body, Challenge)

    def _take_challenge(self) -> Challenge | None:
        challenge, self._next_challenge = self._next_challenge, None
        return challenge

    async def _post(self, path: str, body: Body) -> bytes:
        headers = {"Content-Type": CBOR_MEDIA_TYPE, "Accept": CBOR_MEDIA_TYPE}
        return (
            await self._http.request("POST", path, headers=headers, body=encode_cbor(body), max_bytes=MAX_REPLY_BYTES)
        ).body

    async def _prove(self, method: str, path: str, body: bytes, media_type: str) -> bytes:
        async with self._proofs:
            headers = self._bearer() | self._proof(method, path, body) | {"Accept": CBOR_MEDIA_TYPE}
            if body:
                headers["Content-Type"] = media_type
            answer = await self._http.request(method, path, headers=headers, body=body, max_bytes=MAX_REPLY_BYTES)
            return answer.body

    def _proof(self, method: str, path: str, body: bytes) -> dict[str, str]:
        session = self._logged_in()
        session.counter += 1
        issued_at = max(0, int(self._wall_clock()))
        proof = Proof.make(session.key, method, path, body, issued_at=issued_at, counter=session.counter)
        return {PROOF_HEADER: proof.header()}

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._logged_in().token}"}

    def _logged_in(self) -> _Session:
        if self._session is None:
            raise BackboneRefused(Problem.TOKEN_MISSING, "not logged in")
        return self._session

    def _decode(self, data: bytes, kind: type[B]) -> B:
        try:
            return decode_cbor(data, kind, max_bytes=MAX_REPLY_BYTES)
        except DecodeError as error:
            raise self._nonsense(error) from None

    def _nonsense(self, error: DecodeError | msgspec.MsgspecError) -> BackboneRefused:
        return BackboneRefused(None, f"{self._http.authority} answers with something that is not understood: {error}")
