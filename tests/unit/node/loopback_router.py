"""A router of our own on loopback, with real sockets. The node is 127.0.0.1."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address

from tests.unit.paths.port_mapping.world import Router

from shadowmesh.node.default_gateways import ReachedGateway
from shadowmesh.paths.port_mapping import pcp
from shadowmesh.paths.port_mapping.status import Gateway

# Every address of 127.0.0.0/8 is this host's: each run of the tests has another, as its port is always 5351.
_ROUTER = IPv4Address(0x7F010000 + os.getpid() % 0xFE0000)
REACHED = ReachedGateway(Gateway(_ROUTER, IPv4Address("127.0.0.1")), "lo")


@asynccontextmanager
async def router_on_loopback(router: Router) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    router.booted_at = loop.time()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((str(REACHED.gateway.address), pcp.SERVER_PORT))

        def answer() -> None:
            data, address = sock.recvfrom(2048)
            reply = router.answer(data, loop.time())
            if reply is not None:
                sock.sendto(reply, address)

        loop.add_reader(sock, answer)
        try:
            yield
        finally:
            loop.remove_reader(sock)
