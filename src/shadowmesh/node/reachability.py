"""Tells the mesh how this host is reached: its own addresses, its way out, and what the router has opened."""

from __future__ import annotations

import asyncio
import logging

from shadowmesh.node.daemon import Daemon
from shadowmesh.node.default_gateways import ReachedGateway, default_gateways, default_interfaces
from shadowmesh.node.host_addresses import POLL_INTERVAL_S, host_addresses
from shadowmesh.node.lan_sockets import LanSockets
from shadowmesh.node.network_watch import NetworkWatch, watch_sleep
from shadowmesh.node.port_mapper import PortMapperShell
from shadowmesh.paths.port_mapping.status import MappingStatus
from shadowmesh.wire.endpoint import Endpoint

_log = logging.getLogger(__name__)


class Reachability:
    def __init__(
        self, daemon: Daemon, port: int, tun: str | None, *, map_port: bool, lan: LanSockets | None = None
    ) -> None:
        """`map_port`: whether to ask the router at all. `lan`: moves with the addresses."""
        self._daemon = daemon
        self._port = port
        self._tun = tun
        self._lan = lan
        self._mapper = PortMapperShell(port, self._mapping_changed) if map_port else None
        self._watch = NetworkWatch(self.look, ignored=tun)
        self.endpoints: list[Endpoint] = []
        self._way_out: tuple[list[ReachedGateway], list[int]] | None = None

    @property
    def mappings(self) -> list[MappingStatus]:
        return [] if self._mapper is None else self._mapper.statuses

    def look(self) -> None:
        """At the addresses: the first time, and whenever they may have changed."""
        endpoints = [Endpoint(address, self._port) for address in host_addresses(self._tun)]
        before, self._way_out = self._way_out, self._look_out()
        if endpoints != self.endpoints:
            self.endpoints = endpoints
            if self._lan is not None:  # first: the mesh announces itself at once
                self._lan.set_addresses([endpoint.address for endpoint in endpoints])
            self._daemon.feed(lambda mesh, now: mesh.local_endpoints_changed(endpoints, now))
            self._network_changed()
        elif before not in (None, self._way_out):
            self._daemon.feed(lambda mesh, now: mesh.network_changed(now))
            self._network_changed()
        if self._mapper is not None:
            self._mapper.set_reflexive([endpoint.address for endpoint in self._daemon.mesh.link().reflexive])

    async def watch(self) -> None:
        """Until it is cancelled. What netlink told has been looked at already; this is for where there is none."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch_sleep(self._woke))
            while True:
                await asyncio.sleep(POLL_INTERVAL_S)
                self.look()

    async def stop(self) -> None:
        """Gives back what the router has opened, within a second."""
        self._watch.close()
        if self._lan is not None:
            self._lan.close()
        if self._mapper is not None:
            await self._mapper.stop()

    def _look_out(self) -> tuple[list[ReachedGateway], list[int]]:
        """The gateways, and how often a link on the way out came up."""
        return default_gateways(), [self._watch.links.counts.get(name, 0) for name in sorted(default_interfaces())]

    def _woke(self, slept_s: float) -> None:
        self.look()
        self._daemon.feed(lambda mesh, now: mesh.woke(slept_s, now))
        self._network_changed()

    def _network_changed(self) -> None:
        if self._mapper is not None:
            self._mapper.network_changed()

    def _mapping_changed(self, status: MappingStatus) -> None:
        protocol = "" if status.protocol is None else f" by {status.protocol.value}"
        outcome = status.reason or status.external or ""
        _log.info("router %s: %s%s %s", status.gateway.address, status.state.value, protocol, outcome)
        # Of IPv6 the router opens the address that we have, which is among our own already.
        usable = (mapping.usable for mapping in self.mappings)
        mapped = next((endpoint for endpoint in usable if endpoint and endpoint.address.version == 4), None)
        self._daemon.feed(lambda mesh, now: mesh.mapping_changed(mapped, now))
