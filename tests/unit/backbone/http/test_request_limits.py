"""What no request may exceed."""

import asyncio
from ipaddress import ip_network
from pathlib import Path

import pytest
from starlette.types import Message
from tests.unit.backbone.client import Answer, Client, Headers, InProcess
from tests.unit.backbone.world import World, limited, world

from shadowmesh.backbone.limits.rates import Rate
from shadowmesh.backbone_protocol.body import CBOR_MEDIA_TYPE, MAX_REQUEST_BYTES
from shadowmesh.backbone_protocol.problems import Problem

LOGIN = "/v1/auth/login"
CBOR = {"content-type": CBOR_MEDIA_TYPE}


async def test_a_body_that_says_it_is_too_long_is_not_read(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        headers = {**CBOR, "content-length": str(MAX_REQUEST_BYTES + 1)}
        answer = await w.transport().exchange("POST", LOGIN, headers, asyncio.Queue())
        assert answer.problem is Problem.BODY_TOO_LARGE
        assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("length", ["-1", "x", "9" * 400, "+5"])
async def test_a_strange_length_is_too_long(tmp_path: Path, length: str) -> None:
    async with world(tmp_path) as w:
        answer = await w.transport().exchange("POST", LOGIN, {**CBOR, "content-length": length}, asyncio.Queue())
        assert answer.problem is Problem.BODY_TOO_LARGE


async def test_a_body_in_chunks_is_cut_off_at_the_same_size(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        answer = await chunked(w, [bytes(4096)] * 5)
        assert answer.problem is Problem.BODY_TOO_LARGE


async def test_a_body_in_chunks_below_it_is_read(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        assert (await chunked(w, [b"\xff"] * 100, last=True)).problem is Problem.MALFORMED


async def test_a_get_may_not_hide_a_long_body(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        answer = await w.transport().exchange("GET", "/v1/health", {"content-length": "99999"}, asyncio.Queue())
        assert answer.problem is Problem.BODY_TOO_LARGE


async def test_a_body_that_does_not_come_times_out(tmp_path: Path) -> None:
    async with world(tmp_path, body_time_s=0.05) as w:
        answer = await chunked(w, [b"x"])
        assert answer.problem is Problem.TIMED_OUT


async def test_a_request_that_takes_too_long_is_sent_away(tmp_path: Path) -> None:
    async with world(tmp_path, handling_time_s=0.05) as w:
        async with w.services.store._turn:
            answer = await w.transport().request("GET", "/v1/health/ready", {}, None)
        assert answer.problem is Problem.OVERLOADED


async def test_one_addresss_requests_are_limited_whatever_they_ask(tmp_path: Path) -> None:
    async with world(tmp_path, rates=limited(requests_per_address=Rate(1, 2))) as w:
        transport = w.transport()
        problems = [(await transport.request("GET", "/nothing", {}, None)).problem for _ in range(3)]
        assert problems == [Problem.NOT_FOUND, Problem.NOT_FOUND, Problem.RATE_LIMITED]
        assert (await w.transport("192.0.2.2").request("GET", "/v1/health", {}, None)).status == 200


async def test_a_proxys_clients_are_counted_one_by_one(tmp_path: Path) -> None:
    rates = limited(requests_per_address=Rate(1, 1))
    async with world(tmp_path, rates=rates, behind_proxies=(ip_network("10.0.0.0/8"),)) as w:
        proxy = w.transport("10.0.0.1")
        for number in (1, 2):
            headers = {"x-forwarded-for": f"198.51.100.{number}"}
            assert (await proxy.request("GET", "/v1/health", headers, None)).status == 200
            assert (await proxy.request("GET", "/v1/health", headers, None)).problem is Problem.RATE_LIMITED


async def test_without_a_known_proxy_the_header_buys_nothing(tmp_path: Path) -> None:
    async with world(tmp_path, rates=limited(requests_per_address=Rate(1, 1))) as w:
        for number, status in ((1, 200), (2, 429)):
            headers = {"x-forwarded-for": f"198.51.100.{number}"}
            assert (await w.transport().request("GET", "/v1/health", headers, None)).status == status


async def test_the_client_address_behind_a_proxy_binds_the_challenge(tmp_path: Path) -> None:
    async with world(tmp_path, behind_proxies=(ip_network("10.0.0.0/8"),)) as w:
        challenge = await Client(Behind(w, "198.51.100.1")).challenge()
        await Client(Behind(w, "198.51.100.1")).login(challenge=challenge)


class Behind(InProcess):
    """A client that comes through the proxy 10.0.0.1."""

    def __init__(self, w: World, client: str) -> None:
        super().__init__(w.app, "10.0.0.1")
        self._client = client

    async def request(self, method: str, path: str, headers: Headers, body: bytes | None) -> Answer:
        return await super().request(method, path, {**headers, "x-forwarded-for": self._client}, body)


async def chunked(w: World, chunks: list[bytes], *, last: bool = False) -> Answer:
    incoming: asyncio.Queue[Message] = asyncio.Queue()
    for chunk in chunks:
        incoming.put_nowait({"type": "http.request", "body": chunk, "more_body": True})
    if last:
        incoming.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    return await w.transport().exchange("POST", LOGIN, {**CBOR, "transfer-encoding": "chunked"}, incoming)
