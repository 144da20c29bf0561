"""What the mesh is told of this host's addresses and of the router's mapping."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from shadowmesh.node.daemon import Daemon
from shadowmesh.node.host_addresses import host_addresses
from shadowmesh.node.reachability import Reachability
from shadowmesh.wire.endpoint import Endpoint

PORT = 41641


async def test_the_mesh_hears_of_our_addresses_once_as_long_as_they_stay() -> None:
    heard = Heard()
    reachability = Reachability(cast("Daemon", heard), PORT, None, map_port=False)
    reachability.look()
    reachability.look()
    own = [Endpoint(address, PORT) for address in host_addresses(None)]
    assert heard.inputs == ([("local_endpoints_changed", own)] if own else [])
    assert reachability.endpoints == own
    await reachability.stop()


async def test_without_port_mapping_no_router_is_asked() -> None:
    reachability = Reachability(cast("Daemon", Heard()), PORT, None, map_port=False)
    reachability.look()
    assert reachability.mappings == []
    await reachability.stop()


class Heard:
    """A daemon whose mesh writes down what it is told."""

    def __init__(self) -> None:
        self.inputs: list[tuple[str, Any]] = []
        self.mesh = SimpleNamespace(link=lambda: SimpleNamespace(reflexive=()))

    def feed(self, step: Callable[[Any, float], None]) -> None:
        step(self, 0.0)

    def local_endpoints_changed(self, endpoints: list[Endpoint], now: float) -> None:
        self.inputs.append(("local_endpoints_changed", endpoints))
