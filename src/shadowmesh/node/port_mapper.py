"""Keeps a mapping of the node's UDP port at each default gateway, one of each family."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence

from shadowmesh.node.default_gateways import ReachedGateway, default_gateways
from shadowmesh.node.gateway_mapper import GatewayMapper
from shadowmesh.paths.port_mapping.outside import Address
from shadowmesh.paths.port_mapping.port_mapper import LIFETIME_S, PortMapper
from shadowmesh.paths.port_mapping.status import MappingProtocol, MappingStatus
from shadowmesh.wire.entropy import Entropy

STOP_S = 1.0  # the machine gives up after 0.9 s


class PortMapperShell:
    """Start it on a running loop. `on_change` gets each change of each gateway's mapping, and must not block."""

    def __init__(
        self,
        port: int,
        on_change: Callable[[MappingStatus], None],
        *,
        entropy: Entropy = os.urandom,
        protocols: Sequence[MappingProtocol] = tuple(MappingProtocol),
        lifetime_s: int = LIFETIME_S,
    ) -> None:
        self._port = port
        self._on_change = on_change
        self._entropy = entropy
        self._protocols = protocols
        self._lifetime_s = lifetime_s
        self._mappers: dict[ReachedGateway, GatewayMapper] = {}
        self._leaving: list[GatewayMapper] = []
        self._reflexive: tuple[Address, ...] = ()

    @property
    def statuses(self) -> list[MappingStatus]:
        """IPv4 first. Empty when no router is our way out: we are on the internet, or on no network."""
        return [mapper.status for mapper in self._mappers.values()]

    def start(self) -> None:
        self.network_changed()

    def network_changed(self) -> None:
        """Gives back what another gateway has, and asks those that are there now."""
        gateways = default_gateways()
        self._leaving = [mapper for mapper in self._leaving if not mapper.over.is_set()]
        for gone in [gateway for gateway in self._mappers if gateway not in gateways]:
            self._leave(self._mappers.pop(gone))
        before, self._mappers = self._mappers, {}
        for gateway in gateways:
            mapper = before.get(gateway)
            if mapper is not None:
                mapper.check()
            self._mappers[gateway] = mapper or self._enter(gateway)

    def set_reflexive(self, addresses: Sequence[Address]) -> None:
        """How servers on the internet see us: tells a NAT behind the router's. Empty: unknown."""
        self._reflexive = tuple(addresses)
        for mapper in self._mappers.values():
            mapper.set_reflexive(self._reflexive)

    async def stop(self) -> None:
        """Gives the mappings back, within a second. Idempotent."""
        while self._mappers:
            self._leave(self._mappers.popitem()[1])
        leaving, self._leaving = self._leaving, []
        try:
            async with asyncio.timeout(STOP_S):
                for mapper in leaving:
                    await mapper.over.wait()
        except TimeoutError:
            pass  # a router that does not answer keeps no node from its end
        finally:
            for mapper in leaving:
                await mapper.close()

    def _enter(self, reached: ReachedGateway) -> GatewayMapper:
        machine = PortMapper(
            reached.gateway,
            self._port,
            entropy=self._entropy,
            protocols=self._protocols,
            lifetime_s=self._lifetime_s,
        )
        machine.set_reflexive(self._reflexive)
        mapper = GatewayMapper(reached, machine, self._on_change)
        mapper.start()
        return mapper

    def _leave(self, mapper: GatewayMapper) -> None:
        self._leaving.append(mapper)
        mapper.leave()
