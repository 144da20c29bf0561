"""A backbone client in its smallest form, and ways to reach a server: in process, or over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol

import aiohttp
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM1024PrivateKey
from starlette.types import ASGIApp, Message

from shadowmesh.backbone_protocol.body import CBOR_MEDIA_TYPE, COSE_MEDIA_TYPE, decode_cbor, encode_cbor
from shadowmesh.backbone_protocol.login import Challenge, LoginReply, LoginRequest, RenewalReply
from shadowmesh.backbone_protocol.problems import PROBLEM_MEDIA_TYPE, Problem
from shadowmesh.backbone_protocol.proof import PROOF_HEADER, Proof
from shadowmesh.backbone_protocol.queries import PeerReply
from shadowmesh.backbone_protocol.updates import ClientMessage, ServerMessage, decode_server_message, encode
from shadowmesh.identity.keys import Identity
from shadowmesh.identity.names import PeerID
from shadowmesh.records.peer_record import Mode, PeerRecord, SignedRecord
from shadowmesh.records.region import Region

Headers = Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Headers
    body: bytes

    @property
    def problem(self) -> Problem | None:
        """The problem type, when the answer is one and says so consistently."""
        if self.headers.get("content-type") != PROBLEM_MEDIA_TYPE:
            return None
        document = json.loads(self.body)
        problem = Problem.of_urn(document["type"])
        assert problem is not None
        assert document["status"] == self.status == problem.status
        return problem


class Transport(Protocol):
    async def request(self, method: str, path: str, headers: Headers, body: bytes | None) -> Answer: ...


@dataclass
class InProcess:
    """Calls the ASGI application itself, from any address."""

    app: ASGIApp
    address: str = "192.0.2.1"
    host: str = "backbone.test"

    async def request(self, method: str, path: str, headers: Headers, body: bytes | None) -> Answer:
        sent = {"host": self.host, **headers}
        if body is not None and "transfer-encoding" not in headers:
            sent["content-length"] = str(len(body))
        incoming: asyncio.Queue[Message] = asyncio.Queue()
        incoming.put_nowait({"type": "http.request", "body": body or b"", "more_body": False})
        return await self.exchange(method, path, sent, incoming)

    async def exchange(self, method: str, path: str, headers: Headers, incoming: asyncio.Queue[Message]) -> Answer:
        answer: list[Message] = []

        async def send(message: Message) -> None:
            answer.append(message)

        await self.app(self.scope("http", method, path, headers), incoming.get, send)
        start, *rest = answer
        received = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], received, b"".join(message.get("body", b"") for message in rest))

    def scope(self, kind: str, method: str, path: str, headers: Headers) -> dict[str, Any]:
        raw_path, _, query = path.partition("?")
        return {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "https" if kind == "http" else "wss",
            "method": method,
            "path": raw_path,
            "raw_path": raw_path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": (self.address, 50000),
            "server": ("127.0.0.1", 443),
            "subprotocols": [],
            "state": {},
            "extensions": {"websocket.http.response": {}},
        }


@dataclass
class OverHttp:
    session: aiohttp.ClientSession
    url: str

    async def request(self, method: str, path: str, headers: Headers, body: bytes | None) -> Answer:
        async with self.session.request(method, self.url + path, headers=headers, data=body) as response:
            received = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, received, await response.read())


class Refusal(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.body[:300]!r}")
        self.answer = answer
        self.problem = answer.problem


@dataclass
class Client:
    """One light node. Each method raises Refusal for an answer that is not a success."""

    transport: Transport
    identity: Identity = field(default_factory=lambda: Identity.generate(os.urandom))
    authority: str = "backbone.test"
    token: str = ""
    proof_key: bytes = b""
    counter: int = 0

    @property
    def peer(self) -> PeerID:
        return self.identity.peer_id

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    @property
    def upgrade(self) -> dict[str, str]:
        """Headers of the request that opens the updates: good for one."""
        return {**self.bearer, **self.proof("GET", "/v1/updates", b"")}

    async def challenge(self) -> Challenge:
        return decode_cbor((await self.send("GET", "/v1/auth/challenge")).body, Challenge)

    async def login(self, *, send_key: bool = True, challenge: Challenge | None = None) -> LoginReply:
        challenge = challenge or await self.challenge()
        request, secret = self.login_request(challenge, send_key=send_key)
        answer = await self.send("POST", "/v1/auth/login", encode_cbor(request))
        reply = decode_cbor(answer.body, LoginReply)
        self.proof_key = reply.proof_key(secret.decapsulate(reply.ct), request)
        reply.check_confirmation(self.proof_key)
        self.token = reply.token
        return reply

    def login_request(
        self, challenge: Challenge, *, send_key: bool = True, authority: str | None = None
    ) -> tuple[LoginRequest, MLKEM1024PrivateKey]:
        secret = MLKEM1024PrivateKey.generate()
        request = LoginRequest(
            challenge=challenge.challenge,
            expires=challenge.expires,
            tag=challenge.tag,
            client_nonce=os.urandom(32),
            peer_id=self.peer.raw,
            ek=secret.public_key().public_bytes_raw(),
            mode=Mode.PRIVATE.value,
            region=Region.EUROPE,
            public_key=self.identity.public.public_key if send_key else None,
        )
        return request.signed_by(self.identity, PeerID(challenge.server), authority or self.authority), secret

    async def renew(self) -> RenewalReply:
        answer = await self.send_proven("POST", "/v1/auth/renew", b"")
        reply = decode_cbor(answer.body, RenewalReply)
        self.token = reply.token
        return reply

    async def revoke(self) -> None:
        await self.send_proven("POST", "/v1/auth/revoke", b"")

    async def publish(self, record: SignedRecord | bytes) -> Answer:
        encoded = record if isinstance(record, bytes) else record.encoded
        return await self.send_proven("POST", "/v1/records", encoded, COSE_MEDIA_TYPE)

    async def look_up(self, name: object, have: bytes = b"") -> PeerReply:
        path = f"/v1/peers/{name}" + (f"?have={have[:8].hex()}" if have else "")
        return decode_cbor((await self.send("GET", path, headers=self.bearer)).body, PeerReply)

    async def send_proven(
        self, method: str, path: str, body: bytes, content_type: str = CBOR_MEDIA_TYPE, **changed: str
    ) -> Answer:
        headers = {**self.bearer, **self.proof(method, path, body), **changed}
        return await self.send(method, path, body, headers, content_type)

    def proof(self, method: str, path: str, body: bytes) -> dict[str, str]:
        self.counter += 1
        proof = Proof.make(self.proof_key, method, path, body, issued_at=0, counter=self.counter)
        return {PROOF_HEADER: proof.header()}

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Headers | None = None,
        content_type: str = CBOR_MEDIA_TYPE,
    ) -> Answer:
        sent = {"accept": CBOR_MEDIA_TYPE, **(headers or {})}
        if body is not None:
            sent["content-type"] = content_type
        answer = await self.transport.request(method, path, sent, body)
        if answer.status >= 300:
            raise Refusal(answer)
        return answer


class UpdatesInProcess:
    """The client's side of one WebSocket, without a network."""

    def __init__(self, transport: InProcess, headers: Headers) -> None:
        self._transport = transport
        self._headers = headers
        self._to_server: asyncio.Queue[Message] = asyncio.Queue()
        self._from_server: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> UpdatesInProcess:
        scope = self._transport.scope("websocket", "GET", "/v1/updates", {"host": "backbone.test", **self._headers})
        self._to_server.put_nowait({"type": "websocket.connect"})
        application = self._transport.app(scope, self._to_server.get, self._from_server.put)
        self._task = asyncio.ensure_future(application)
        first = await self._from_server.get()
        if first["type"] != "websocket.accept":
            body = await self._from_server.get()
            await self._task
            headers = {name.decode().lower(): value.decode() for name, value in first["headers"]}
            raise Refusal(Answer(first["status"], headers, body["body"]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._to_server.put_nowait({"type": "websocket.disconnect", "code": 1000})
        assert self._task is not None
        await self._task

    def send(self, message: ClientMessage) -> None:
        self.send_bytes(encode(message))

    def send_bytes(self, data: bytes) -> None:
        self._to_server.put_nowait({"type": "websocket.receive", "bytes": data})

    def send_text(self, text: str) -> None:
        self._to_server.put_nowait({"type": "websocket.receive", "text": text})

    async def receive(self) -> ServerMessage:
        async with asyncio.timeout(5):
            message = await self._from_server.get()
        assert message["type"] == "websocket.send", message
        return decode_server_message(message["bytes"])

    async def close_code(self) -> int:
        """Of the server's close, after whatever it had still to say."""
        async with asyncio.timeout(5):
            while (message := await self._from_server.get())["type"] != "websocket.close":
                pass
        code: int = message["code"]
        return code

    def is_quiet(self) -> bool:
        return self._from_server.empty()


def record_of(
    identity: Identity, *, sequence: int = 1, issued_at: int, ttl_s: int = 3600, **fields: Any
) -> SignedRecord:
    wireguard_key = fields.pop("wireguard_key", bytes(32))
    return PeerRecord(identity.public, sequence, issued_at, ttl_s, wireguard_key, **fields).sign(identity)
