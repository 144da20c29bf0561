"""How much a backbone node carries, on loopback, and how many bytes it costs.

    python -m bench.backbone [--json]

Log-ins a second through the real server are compared with bare ML-DSA-87 verification on one core, repeated look-ups
with an empty handler of the same framework, both in the same run. The load comes from this process, the server is
another one with its rate limits off. Takes about 20 seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM1024PrivateKey
from starlette.requests import Request
from starlette.responses import Response

from shadowmesh.backbone_protocol.body import CBOR_MEDIA_TYPE, COSE_MEDIA_TYPE, decode_cbor, encode_cbor
from shadowmesh.backbone_protocol.login import Challenge, LoginReply, LoginRequest, RenewalReply
from shadowmesh.backbone_protocol.proof import PROOF_HEADER, Proof
from shadowmesh.identity.keys import Identity
from shadowmesh.identity.names import PeerID
from shadowmesh.records.peer_record import PeerRecord

LOGINS = 1500  # all must be sent before their challenges expire after 90 s
LOOKUP_TIME_S = 4.0
VERIFY_TIME_S = 2.0
CONNECTIONS = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--serve", choices=["backbone", "empty"], help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.data)
    else:
        report(asyncio.run(measure()), as_json=arguments.json)


async def measure() -> dict[str, float]:
    figures: dict[str, float] = {"cores": os.cpu_count() or 1, "verifications_per_s_one_core": verifications_per_s()}
    with tempfile.TemporaryDirectory() as folder, server("backbone", Path(folder)) as address:
        node = await Node.first_login(address, figures)
        figures["logins_per_s"] = await logins_per_s(address)
        figures["lookups_per_s"] = await requests_per_s(address, node.repeated_lookup())
    with tempfile.TemporaryDirectory() as folder, server("empty", Path(folder)) as address:
        figures["empty_per_s"] = await requests_per_s(address, node.repeated_lookup())
    figures["logins_to_verifications"] = figures["logins_per_s"] / figures["verifications_per_s_one_core"]
    figures["lookups_to_empty"] = figures["lookups_per_s"] / figures["empty_per_s"]
    return figures


class Node:
    """One light node, which counts the bytes of each of its requests, HTTP headers included."""

    def __init__(self, address: tuple[str, int], figures: dict[str, float]) -> None:
        self.identity = Identity.generate(os.urandom)
        self._address = address
        self._figures = figures
        self._token = ""
        self._key = b""
        self._counter = 0
        self._record_id = b""

    @classmethod
    async def first_login(cls, address: tuple[str, int], figures: dict[str, float]) -> Node:
        node = cls(address, figures)
        await node._login("first_login", send_key=True)
        record = PeerRecord(node.identity.public, 1, int(time.time()), 3600, bytes(32)).sign(node.identity)
        node._record_id = record.record_id
        await node._exchange("publish", node._proven("POST", "/v1/records", record.encoded, COSE_MEDIA_TYPE))
        await node._exchange("first_lookup", http("GET", node._path, node._bearer))
        await node._exchange("repeated_lookup", node.repeated_lookup())
        renewal = await node._exchange("renewal", node._proven("POST", "/v1/auth/renew", b"", CBOR_MEDIA_TYPE))
        node._token = decode_cbor(renewal, RenewalReply).token
        await node._login("later_login", send_key=False)
        return node

    def repeated_lookup(self) -> bytes:
        return http("GET", f"{self._path}?have={self._record_id[:8].hex()}", self._bearer)

    @property
    def _path(self) -> str:
        return f"/v1/peers/{self.identity.peer_id}"

    @property
    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    async def _login(self, name: str, *, send_key: bool) -> None:
        challenge = decode_cbor(await self._exchange("challenge", http("GET", "/v1/auth/challenge")), Challenge)
        request, secret = login_request(self.identity, challenge, self._address, send_key=send_key)
        body = await self._exchange(name, http("POST", "/v1/auth/login", body=encode_cbor(request)))
        reply = decode_cbor(body, LoginReply)
        self._token, self._key = reply.token, reply.proof_key(secret.decapsulate(reply.ct), request)

    def _proven(self, method: str, path: str, body: bytes, content_type: str) -> bytes:
        self._counter += 1
        proof = Proof.make(self._key, method, path, body, issued_at=0, counter=self._counter)
        return http(method, path, {**self._bearer, PROOF_HEADER: proof.header()}, body, content_type)

    async def _exchange(self, name: str, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._address)
        head, body = await exchange(reader, writer, request)
        writer.close()
        assert head.startswith(b"HTTP/1.1 200"), (name, head, body)
        self._figures[f"{name}_bytes_up"] = len(request)
        self._figures[f"{name}_bytes_down"] = len(head) + len(body)
        return body


async def logins_per_s(address: tuple[str, int]) -> float:
    """The requests are signed beforehand: signing is the clients' work, and there are many of them."""
    requests = []
    reader, writer = await asyncio.open_connection(*address)
    for _ in range(LOGINS):
        _, body = await exchange(reader, writer, http("GET", "/v1/auth/challenge"))
        identity = Identity.generate(os.urandom)
        request, _ = login_request(identity, decode_cbor(body, Challenge), address, send_key=True)
        requests.append(http("POST", "/v1/auth/login", body=encode_cbor(request)))
    writer.close()
    begun = time.perf_counter()
    await asyncio.gather(*(send_all(address, requests[number::CONNECTIONS]) for number in range(CONNECTIONS)))
    return LOGINS / (time.perf_counter() - begun)


async def requests_per_s(address: tuple[str, int], request: bytes) -> float:
    deadline = time.perf_counter() + LOOKUP_TIME_S

    async def ask() -> int:
        reader, writer = await asyncio.open_connection(*address)
        count = 0
        while time.perf_counter() < deadline:
            head, _ = await exchange(reader, writer, request)
            assert head.startswith(b"HTTP/1.1 200"), head
            count += 1
        writer.close()
        return count

    return sum(await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))) / LOOKUP_TIME_S


def verifications_per_s() -> float:
    identity, message = Identity.generate(os.urandom), os.urandom(1700)
    signature = identity.sign(message, context=b"bench")
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < VERIFY_TIME_S:
        identity.public.verify(signature, message, context=b"bench")
        count += 1
    return count / (time.perf_counter() - begun)


def login_request(
    identity: Identity, challenge: Challenge, address: tuple[str, int], *, send_key: bool
) -> tuple[LoginRequest, MLKEM1024PrivateKey]:
    secret = MLKEM1024PrivateKey.generate()
    request = LoginRequest(
        challenge=challenge.challenge,
        expires=challenge.expires,
        tag=challenge.tag,
        client_nonce=os.urandom(32),
        peer_id=identity.peer_id.raw,
        ek=secret.public_key().public_bytes_raw(),
        mode=0,
        region=3,
        public_key=identity.public.public_key if send_key else None,
    )
    return request.signed_by(identity, PeerID(challenge.server), f"{address[0]}:{address[1]}"), secret


async def send_all(address: tuple[str, int], requests: Sequence[bytes]) -> None:
    reader, writer = await asyncio.open_connection(*address)
    for request in requests:
        head, body = await exchange(reader, writer, request)
        assert head.startswith(b"HTTP/1.1 200"), (head, body)
    writer.close()


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[bytes, bytes]:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    return head, await reader.readexactly(length)


def http(
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    content_type: str = CBOR_MEDIA_TYPE,
) -> bytes:
    """With the headers that a client needs, and no others."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Accept: {CBOR_MEDIA_TYPE}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body is not None:
        lines += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


@contextmanager
def server(kind: str, data: Path) -> Iterator[tuple[str, int]]:
    command = [sys.executable, __file__, "--serve", kind, "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            host, _, port = url.removeprefix("http://").partition(":")
            yield host, int(port)
        finally:
            process.terminate()


def serve(kind: str, data: Path) -> None:
    from shadowmesh.backbone import server as backbone
    from shadowmesh.backbone.config import BackboneConfig
    from shadowmesh.backbone.limits.rates import Rate, Rates

    plenty = Rates(**dict.fromkeys(Rates.__dataclass_fields__, Rate(1e9, 1_000_000_000)))
    config = BackboneConfig([], rates=plenty, workers=os.cpu_count() or 1)
    options = backbone.RunOptions(data, "127.0.0.1", 0, config)
    if kind == "backbone":
        backbone.run(options, lambda ready: print(json.dumps({"url": ready.url}), flush=True))
    else:
        serve_empty()


def serve_empty() -> None:
    import uvicorn
    from fastapi import FastAPI

    from shadowmesh.backbone import sockets

    app = FastAPI()

    @app.get("/v1/peers/{peer}")
    async def empty(_request: Request) -> Response:
        return Response(bytes(61), media_type=CBOR_MEDIA_TYPE)

    listening = sockets.listen("127.0.0.1", 0)
    print(json.dumps({"url": f"http://127.0.0.1:{listening.getsockname()[1]}"}), flush=True)
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, loop="uvloop", http="httptools")
    uvicorn.Server(config).run([listening])


def report(figures: dict[str, float], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
        return
    print(f"{figures['cores']:.0f} cores, which load and server share; loopback, no TLS\n")
    print(f"log-ins            {figures['logins_per_s']:8.0f} /s")
    print(f"  bare verification{figures['verifications_per_s_one_core']:8.0f} /s on one core")
    print(f"  ratio            {figures['logins_to_verifications']:8.2f}")
    print(f"repeated look-ups  {figures['lookups_per_s']:8.0f} /s")
    print(f"  empty handler    {figures['empty_per_s']:8.0f} /s")
    print(f"  ratio            {figures['lookups_to_empty']:8.2f}\n")
    print("bytes, HTTP headers included      up    down")
    for name in ("challenge", "first_login", "later_login", "renewal", "publish", "first_lookup", "repeated_lookup"):
        up, down = figures[f"{name}_bytes_up"], figures[f"{name}_bytes_down"]
        print(f"  {name.replace('_', ' '):<26} {up:8.0f} {down:7.0f}")


if __name__ == "__main__":
    main()
