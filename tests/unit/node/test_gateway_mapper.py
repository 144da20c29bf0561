from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.unit.node.loopback_router import REACHED, router_on_loopback
from tests.unit.paths.port_mapping.world import Router

from shadowmesh.node.gateway_mapper import GatewayMapper
from shadowmesh.paths.port_mapping.port_mapper import PortMapper
from shadowmesh.paths.port_mapping.status import MappingProtocol, MappingState, MappingStatus

PORT = 41641
DEADLINE_S = 10.0


async def test_a_mapping_is_got_and_given_back() -> None:
    router = Router()
    async with router_on_loopback(router), mapping() as (mapper, changes):
        assert (await next_change(changes)).state is MappingState.MAPPED
        assert list(router.mapped) == [PORT]
        mapper.leave()
        async with asyncio.timeout(DEADLINE_S):
            await mapper.over.wait()
        assert router.mapped == {}
        assert (await next_change(changes)).state is MappingState.RELEASED


async def test_a_check_extends_the_mapping() -> None:
    async with router_on_loopback(Router()), mapping() as (mapper, changes):
        before = (await next_change(changes)).expires_at
        assert before is not None
        async with asyncio.timeout(DEADLINE_S):
            while (mapper.status.expires_at or 0.0) <= before:
                mapper.check()
                await asyncio.sleep(0)


async def test_a_router_whose_port_is_closed_is_not_waited_for() -> None:
    async with mapping(MappingProtocol.PCP, MappingProtocol.NAT_PMP) as (_, changes):
        status = await next_change(changes)
    assert status.reason == "PCP and NAT-PMP: the router's port 5351 is closed"


async def test_the_upnp_library_is_loaded_only_when_it_is_needed() -> None:
    code = "import sys, shadowmesh.node.port_mapper; print('async_upnp_client' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output == b"False\n"


async def test_a_close_ends_a_upnp_call_that_is_under_way() -> None:
    async with mapping(MappingProtocol.UPNP):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@asynccontextmanager
async def mapping(*protocols: MappingProtocol) -> AsyncIterator[tuple[GatewayMapper, asyncio.Queue[MappingStatus]]]:
    changes: asyncio.Queue[MappingStatus] = asyncio.Queue()
    chosen = protocols or tuple(MappingProtocol)
    machine = PortMapper(REACHED.gateway, PORT, entropy=os.urandom, protocols=chosen)
    mapper = GatewayMapper(REACHED, machine, changes.put_nowait)
    mapper.start()
    try:
        yield mapper, changes
    finally:
        await mapper.close()


async def next_change(changes: asyncio.Queue[MappingStatus]) -> MappingStatus:
    async with asyncio.timeout(DEADLINE_S):
        return await changes.get()
