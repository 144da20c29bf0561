"""Networks inside networks: the internet, sites behind their boxes, and sites behind those (a carrier's NAT)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tests.sim.nat.behaviour import Address
from tests.sim.nat.box import NatBox, Packet

from shadowmesh.wire.endpoint import Endpoint

Receiver = Callable[[bytes, Endpoint], None]


@dataclass(slots=True)
class Link:
    """The uplink of a site, besides the weather of the internet."""

    latency_s: float = 0.0  # one way
    loss: float = 0.0
    up: bool = True


class Site:
    """A LAN whose hosts reach each other directly, and the rest of the world through the box of their IP version."""

    def __init__(
        self, parent: Site | None = None, boxes: Mapping[int, NatBox] | None = None, *, link: Link | None = None
    ) -> None:
        """`boxes`: by IP version; without one packets pass as they are. Only the internet has no parent."""
        self.parent = parent
        self.boxes = dict(boxes or {})
        self.link = link or Link()
        self._receivers: dict[Endpoint, Receiver] = {}
        self._group: dict[str, Receiver] = {}
        self._children: dict[Address, Site] = {}  # by the addresses that are behind, or of, the child's boxes
        for box in self.boxes.values():
            for address in box.outside:
                self._announce(address)

    def attach(self, endpoint: Endpoint, receiver: Receiver) -> None:
        self._receivers[endpoint] = receiver
        if self._is_routed(endpoint.address):
            self._announce(endpoint.address)

    def detach(self, endpoint: Endpoint) -> None:
        self._receivers.pop(endpoint, None)
        if self._is_routed(endpoint.address) and not self.holds(endpoint.address):
            for above, _ in self._way_up(endpoint.address):
                above._children.pop(endpoint.address, None)

    def receiver(self, endpoint: Endpoint) -> Receiver | None:
        return self._receivers.get(endpoint)

    def join(self, name: str, receiver: Receiver) -> None:
        """Hears what is sent by multicast on this network."""
        self._group[name] = receiver

    def leave(self, name: str) -> None:
        self._group.pop(name, None)

    @property
    def group(self) -> list[Receiver]:
        return list(self._group.values())

    def child(self, address: Address) -> Site | None:
        """The site below this one that packets for the address go to."""
        return self._children.get(address)

    def holds(self, address: Address) -> bool:
        return address in self._children or any(endpoint.address == address for endpoint in self._receivers)

    def rebind(self) -> None:
        """The boxes restart."""
        for box in self.boxes.values():
            box.rebind()

    def _is_routed(self, address: Address) -> bool:
        """Whether the outside knows this address of the inside."""
        box = self.boxes.get(address.version)
        return box is None or not box.behaviour.translates

    def _announce(self, address: Address) -> None:
        for above, below in self._way_up(address):
            above._children[address] = below

    def _way_up(self, address: Address) -> Iterator[tuple[Site, Site]]:
        """Each network that knows the address, with the site below it that leads there."""
        below, above = self, self.parent
        while above is not None:
            yield above, below
            if not above._is_routed(address):
                return
            below, above = above, above.parent


@dataclass(frozen=True, slots=True)
class Route:
    """How far a packet has come: where it is, how it looks there, and the uplinks that it crossed on the way."""

    site: Site
    packet: Packet
    links: tuple[Link, ...] = ()

    @property
    def latency_s(self) -> float:
        return sum(link.latency_s for link in self.links)


def ascend(site: Site, packet: Packet, now: float) -> Route | None:
    """From a host to the first network that holds the destination, at the most to the internet."""
    links: list[Link] = []
    while (parent := site.parent) is not None and not site.holds(packet.destination.address):
        box = site.boxes.get(packet.destination.address.version)
        passed = packet if box is None else box.outbound(packet, now)
        if passed is None:
            return None
        if passed.destination != packet.destination:  # hairpinned
            return Route(site, passed, tuple(links))
        if not site.link.up:
            return None
        links.append(site.link)
        site, packet = parent, passed
    return Route(site, packet, tuple(links))


def descend(site: Site, packet: Packet, now: float) -> Route | None:
    """From there to the network of the destination."""
    links: list[Link] = []
    while (child := site.child(packet.destination.address)) is not None:
        box = child.boxes.get(packet.destination.address.version)
        passed = packet if box is None else box.inbound(packet, now)
        if passed is None or not child.link.up:
            return None
        links.append(child.link)
        site, packet = child, passed
    return Route(site, packet, tuple(links))
