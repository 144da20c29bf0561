"""Answers STUN Binding requests (RFC 8489) over UDP, and is silent about everything else.

On purpose there are no error responses: a request with an attribute that we would have to refuse is answered like any
other when it is well-formed. An answer is at most 2.2 times its request (44 bytes to 20), so it is a poor amplifier.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import cast

from shadowmesh.backbone.clock import Clock
from shadowmesh.backbone.errors import CannotStart
from shadowmesh.backbone.limits.addresses import ClientAddress
from shadowmesh.backbone.limits.rates import Rate, RateLimiter
from shadowmesh.backbone.metrics import Metrics
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.stun import StunKind, decode, encode_binding_success

# UDP sources can be forged at will, so the table is smaller than that of addresses that completed a TCP handshake.
_MAX_SOURCES = 16_384
_MAX_AMPLIFICATION = 3


class StunResponder(asyncio.DatagramProtocol):
    """One for each UDP socket; they share the limiter."""

    def __init__(self, limiter: RateLimiter, metrics: Metrics) -> None:
        self.other: StunResponder | None = None  # on another port of the same address
        self._limiter = limiter
        self._metrics = metrics
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport has the interface, but not the base class.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer, sender, result = self._answer(data, addr)
        self._metrics.stun.labels(result).inc()
        if sender is not None:
            sender.send(answer, addr)

    def send(self, answer: bytes, destination: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(answer, destination)

    def _answer(self, data: bytes, source: tuple[str, int]) -> tuple[bytes, StunResponder | None, str]:
        """The answer, and who sends it."""
        try:
            request = decode(data)
            mapped = Endpoint(ip_address(source[0].partition("%")[0]), source[1])
        except (DecodeError, ValueError):
            return b"", None, "ignored"
        if request.kind is not StunKind.REQUEST:
            return b"", None, "ignored"
        if not self._limiter.allows(ClientAddress.of(mapped.address).key):
            return b"", None, "rate limited"
        answer = encode_binding_success(request.transaction_id, mapped, fingerprint=request.fingerprint)
        if len(answer) > _MAX_AMPLIFICATION * len(data):
            return b"", None, "ignored"
        # RFC 5780 §6.1: whoever asks for another port learns by the silence, or the answer, how its NAT filters.
        return answer, self.other if request.change_port else self, "answered"


def bind_sockets(hosts: Sequence[str], ports: Sequence[int]) -> list[socket.socket]:
    """A socket for each host and port; port 0 takes a free one. Raises CannotStart."""
    sockets = []
    for host in hosts:
        for port in ports:
            try:
                sockets.append(_bind(host, port))
            except (OSError, ValueError) as error:
                for bound in sockets:
                    bound.close()
                reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                raise CannotStart(f"cannot listen for STUN on {host} port {port}: {reason}") from None
    return sockets


async def start(
    sockets: Sequence[socket.socket], rate: Rate, clock: Clock, metrics: Metrics
) -> list[asyncio.BaseTransport]:
    limiter = RateLimiter(rate, clock, most=_MAX_SOURCES)
    loop = asyncio.get_running_loop()
    transports: list[asyncio.BaseTransport] = []
    by_host: dict[str, list[StunResponder]] = {}
    for bound in sockets:
        host = bound.getsockname()[0]
        transport, responder = await loop.create_datagram_endpoint(lambda: StunResponder(limiter, metrics), sock=bound)
        transports.append(transport)
        by_host.setdefault(host, []).append(responder)
    for responders in by_host.values():
        for responder, other in zip(responders, [*responders[1:], responders[0]], strict=True):
            responder.other = other if other is not responder else None
    return transports


def _bind(host: str, port: int) -> socket.socket:
    version = ip_address(host).version
    bound = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        if version == 6:
            # Both families have a socket of their own, so an IPv4 source is never seen in its mapped form.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
