"""The responder on real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.unit.backbone.world import PLENTY, SettableClock

from shadowmesh.backbone.errors import CannotStart
from shadowmesh.backbone.limits.rates import Rate
from shadowmesh.backbone.metrics import Metrics
from shadowmesh.backbone.stun import responder
from shadowmesh.wire import stun
from shadowmesh.wire.endpoint import Endpoint

TXID = b"transaction!"
REQUEST = stun.encode_binding_request(TXID)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_both_ports_tell_the_sender_its_address(host: str) -> None:
    async with running(host) as ports, client(host) as (own, ask):
        for port in ports:
            for fingerprint in (False, True):
                answer = await ask(port, stun.encode_binding_request(TXID, fingerprint=fingerprint))
                assert answer is not None
                message = stun.decode(answer)
                assert message == stun.StunMessage(stun.StunKind.SUCCESS, TXID, own, fingerprint)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"hello, are you a STUN server?",
        REQUEST[:-1],
        REQUEST + b"\0",
        stun.encode_binding_success(TXID, Endpoint.of("192.0.2.1", 1)),
        b"\x00\x11" + REQUEST[2:],
        b"\x00\x03" + REQUEST[2:],
        REQUEST[:4] + b"\0\0\0\0" + REQUEST[8:],
        bytes(2000),
    ],
)
async def test_everything_else_is_met_with_silence(data: bytes) -> None:
    async with running("127.0.0.1") as ports, client("127.0.0.1") as (_, ask):
        assert await ask(ports[0], data, then=REQUEST) == await ask(ports[0], REQUEST)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_who_asks_for_it_is_answered_from_the_other_port(host: str) -> None:
    request = stun.encode_binding_request(TXID, change_port=True)
    async with running(host) as ports:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.bind((host, 0))
            own.setblocking(False)
            loop = asyncio.get_running_loop()
            for asked, answering in zip(ports, reversed(ports), strict=True):
                await loop.sock_sendto(own, request, (host, asked))
                async with asyncio.timeout(2):
                    answer, source = await loop.sock_recvfrom(own, 2048)
                assert source[1] == answering
                assert stun.decode(answer).mapped == Endpoint.of(*own.getsockname()[:2])


async def test_one_source_is_limited() -> None:
    metrics = Metrics()
    async with running("127.0.0.1", Rate(0.001, 2), metrics) as ports, client("127.0.0.1") as (_, ask):
        assert await ask(ports[0], REQUEST)
        assert await ask(ports[1], REQUEST)
        assert await ask(ports[0], REQUEST) is None
    assert b'result="rate limited"} 1.0' in metrics.text()


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
@pytest.mark.parametrize("fingerprint", [False, True])
def test_no_answer_is_longer_than_three_times_the_question(address: str, fingerprint: bool) -> None:
    question = stun.encode_binding_request(TXID, fingerprint=fingerprint)
    answer = stun.encode_binding_success(TXID, Endpoint.of(address, 1), fingerprint=fingerprint)
    assert len(answer) <= 3 * len(question)


def test_a_port_in_use_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=str(port)):
            responder.bind_sockets(["127.0.0.1"], [0, port])


@asynccontextmanager
async def running(host: str, rate: Rate = PLENTY, metrics: Metrics | None = None) -> AsyncIterator[list[int]]:
    sockets = responder.bind_sockets([host], [0, 0])
    ports = [bound.getsockname()[1] for bound in sockets]
    transports = await responder.start(sockets, rate, SettableClock(), metrics or Metrics())
    try:
        yield ports
    finally:
        for transport in transports:
            transport.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def client(host: str):  # type: ignore[no-untyped-def]
    """Its own endpoint, and a way to ask: the next answer, or None after 0.3 s."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind((host, 0))
        own.setblocking(False)

        async def ask(port: int, data: bytes, then: bytes | None = None) -> bytes | None:
            for datagram in (data, then):
                if datagram is not None:
                    await loop.sock_sendto(own, datagram, (host, port))
            try:
                async with asyncio.timeout(0.3):
                    return await loop.sock_recv(own, 2048)
            except TimeoutError:
                return None

        yield Endpoint.of(*own.getsockname()[:2]), ask
