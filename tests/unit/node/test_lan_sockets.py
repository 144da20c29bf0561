"""Two programs of one host hear each other by multicast. Between hosts: tests/e2e/test_lan.py."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

from shadowmesh.node.lan_sockets import LanSockets
from shadowmesh.wire.endpoint import Endpoint

LOOPBACK = ip_address("127.0.0.1")


async def test_what_one_announces_the_other_hears_with_where_it_came_from() -> None:
    heard: asyncio.Queue[tuple[bytes, Endpoint]] = asyncio.Queue()
    one, other = LanSockets(), LanSockets()
    other.start(lambda data, source: heard.put_nowait((data, source)))
    try:
        one.set_addresses([LOOPBACK])
        other.set_addresses([LOOPBACK])
        one.announce(b"here")
        data, source = await asyncio.wait_for(heard.get(), 10)
        assert (data, source.address) == (b"here", LOOPBACK)
    finally:
        one.close()
        other.close()


async def test_an_address_that_the_host_does_not_have_is_left_out() -> None:
    sockets = LanSockets()
    sockets.set_addresses([ip_address("192.0.2.77"), ip_address("2001:db8::77")])
    sockets.announce(b"nobody hears it")
    sockets.close()
    sockets.close()
