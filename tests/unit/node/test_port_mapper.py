from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address

import pytest
from tests.unit.node.loopback_router import REACHED, router_on_loopback
from tests.unit.paths.port_mapping.world import OUTSIDE, Router

from shadowmesh.node import port_mapper
from shadowmesh.node.default_gateways import ReachedGateway
from shadowmesh.node.port_mapper import PortMapperShell
from shadowmesh.paths.port_mapping.status import MappingProtocol, MappingState, MappingStatus

PORT = 41641
DEADLINE_S = 10.0


@dataclass
class Routes:
    """What the host's routing tables say."""

    gateways: list[ReachedGateway] = field(default_factory=lambda: [REACHED])


@pytest.fixture
def routes(monkeypatch: pytest.MonkeyPatch) -> Routes:
    routes = Routes()
    monkeypatch.setattr(port_mapper, "default_gateways", lambda: routes.gateways)
    return routes


async def test_the_port_is_mapped_until_the_stop(routes: Routes) -> None:
    router = Router()
    async with router_on_loopback(router), mapping() as (shell, changes):
        assert (await changes.get()).state is MappingState.MAPPED
        assert [status.state for status in shell.statuses] == [MappingState.MAPPED]
        await shell.stop()
        assert router.mapped == {}
        assert (await changes.get()).state is MappingState.RELEASED
        assert shell.statuses == []
        await shell.stop()


async def test_a_network_that_is_left_gets_its_mapping_back(routes: Routes) -> None:
    router = Router()
    async with router_on_loopback(router), mapping() as (shell, changes):
        await changes.get()
        routes.gateways = []
        shell.network_changed()
        assert (await changes.get()).state is MappingState.RELEASED
        assert shell.statuses == []
        await shell.stop()
        assert router.mapped == {}


async def test_a_network_that_is_the_same_keeps_its_mapping(routes: Routes) -> None:
    async with router_on_loopback(Router()), mapping() as (shell, changes):
        await changes.get()
        shell.network_changed()
        shell.network_changed()
        assert [status.state for status in shell.statuses] == [MappingState.MAPPED]
        await shell.stop()
        assert (await changes.get()).state is MappingState.RELEASED


async def test_without_a_router_there_is_nothing_to_ask(routes: Routes) -> None:
    routes.gateways = []
    async with mapping() as (shell, changes):
        assert shell.statuses == []
    assert changes.empty()


async def test_what_servers_see_of_us_reaches_later_gateways_too(routes: Routes) -> None:
    async with router_on_loopback(Router()), mapping() as (shell, changes):
        assert (await changes.get()).state is MappingState.MAPPED
        shell.set_reflexive([IPv4Address("11.19.0.1")])
        assert (await changes.get()).state is MappingState.DOUBLE_NAT
        routes.gateways = []
        shell.network_changed()
        assert (await changes.get()).state is MappingState.RELEASED
        routes.gateways = [REACHED]
        shell.network_changed()
        again = await changes.get()
        assert again.external is not None
        assert (again.state, again.external.address) == (MappingState.DOUBLE_NAT, OUTSIDE)


async def test_a_router_that_is_silent_keeps_no_node_from_its_end(routes: Routes) -> None:
    router = Router()
    async with router_on_loopback(router), mapping() as (shell, changes):
        await changes.get()
        router.speaks = ()
        await shell.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}


@asynccontextmanager
async def mapping() -> AsyncIterator[tuple[PortMapperShell, asyncio.Queue[MappingStatus]]]:
    changes: asyncio.Queue[MappingStatus] = asyncio.Queue()
    datagrams_only = (MappingProtocol.PCP, MappingProtocol.NAT_PMP)
    shell = PortMapperShell(PORT, changes.put_nowait, protocols=datagrams_only)
    shell.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield shell, changes
    finally:
        await shell.stop()
