"""A NAT or firewall between two networks, without I/O: packets and the time go in, packets come out.

One reading of RFC 4787 is ours: filtering looks at the mapping that a packet came to, not at all that its inside
endpoint ever sent to. For endpoint-independent mapping that is the same; with mappings a destination it is what real
boxes do, whose one table of sessions serves both ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf

from tests.sim.chance import SeededEntropy
from tests.sim.nat.behaviour import APD, EI, Address, Nat, Pooling, Scope

from shadowmesh.wire.endpoint import Endpoint

CLAIM_S = 30.0  # nf_conntrack_udp_timeout: a flow that was seen in one direction only


@dataclass(frozen=True, slots=True)
class Packet:
    """A UDP datagram with its addresses."""

    source: Endpoint
    destination: Endpoint
    payload: bytes = field(default=b"", repr=False)


@dataclass(slots=True)
class _Entry:
    inside: Endpoint
    outside: Endpoint
    used_at: float
    permitted: dict[Scope, float] = field(default_factory=dict)  # who may send in, and when it was last used


class NatBox:
    """`inbound` and `outbound` return the packet as it goes on, or None when it is dropped."""

    def __init__(self, behaviour: Nat, outside: Sequence[Address], chance: SeededEntropy) -> None:
        """`outside`: the box's own addresses, as many as the behaviour says; none of a firewall."""
        if len(outside) != (behaviour.outside_addresses if behaviour.translates else 0):
            raise ValueError(f"{len(outside)} outside addresses do not fit {behaviour}")
        self.behaviour = behaviour
        self.outside = tuple(outside)
        self.refused = 0  # packets for which there was no room or no port
        self._forwards: dict[Endpoint, Endpoint] = {}  # outside to inside, until the router is asked to end it
        self._chance = chance
        self._mapping = APD if behaviour.per_flow else behaviour.mapping
        self._reuse = APD if behaviour.per_flow else EI  # whose packets may share an outside port
        self.rebind()

    def forward(self, inside: Endpoint) -> Endpoint:
        """A port mapping, as PCP, NAT-PMP or UPnP make it: everybody may send to the outside endpoint."""
        for port in (inside.port, *self._ports[self.outside[0]].candidates(inside)):
            outside = Endpoint(self.outside[0], port)
            if self._forwards.get(outside, inside) == inside and self._holder(outside) in (None, inside):
                self._forwards[outside] = inside
                return outside
        raise AssertionError("no free port to map")

    def rebind(self) -> None:
        """As after a reboot: every mapping that a packet made is forgotten."""
        self._by_forward: dict[tuple[Endpoint, Endpoint], _Entry] = {}  # by inside and remote endpoint
        self._by_inside: dict[tuple[Endpoint, Scope], _Entry] = {}
        self._by_outside: dict[tuple[Endpoint, Scope], _Entry] = {}
        self._claims: dict[tuple[Endpoint, Scope], float] = {}
        self._paired: dict[Address, Address] = {}
        self._ports = {address: self.behaviour.ports.source(self._chance) for address in self.outside}
        self._sweep_at = inf  # nothing expires sooner

    def outbound(self, packet: Packet, now: float) -> Packet | None:
        """A packet to one of the box's own addresses comes back as it is delivered inside (hairpinning)."""
        if self.behaviour.blocks_udp:
            return None
        self._expire(now)
        entry = self._entry_for(packet.source, packet.destination, now)
        if entry is None:
            self.refused += 1
            return None
        self._refresh(entry, packet.destination, now)
        sent = Packet(entry.outside, packet.destination, packet.payload)
        if packet.destination.address not in self.outside:
            return sent
        return self.inbound(sent, now) if self.behaviour.hairpin else None

    def inbound(self, packet: Packet, now: float) -> Packet | None:
        if self.behaviour.blocks_udp:
            return None
        self._expire(now)
        if packet.destination in self._forwards:
            return self._forwarded(packet, now)
        flow = packet.destination, self._reuse.scope(packet.source)
        entry = self._by_outside.get(flow)
        if entry is None:
            self._claim(flow, now)
            return None
        if not self._permits(entry, packet.source, now):
            return None
        if self.behaviour.refreshed_by_inbound:
            self._refresh(entry, packet.source, now)
        return Packet(packet.source, entry.inside, packet.payload)

    def entries(self, now: float) -> int:
        """How full the table is."""
        self._expire(now)
        return len(self._by_inside) + len(self._claims)

    def _forwarded(self, packet: Packet, now: float) -> Packet:
        """The answer will leave from the endpoint that was asked."""
        inside = self._forwards[packet.destination]
        entry = self._by_forward.setdefault((inside, packet.source), _Entry(inside, packet.destination, now))
        self._refresh(entry, packet.source, now)
        self._sweep_at = min(self._sweep_at, now + self.behaviour.timeout_s)
        return Packet(packet.source, inside, packet.payload)

    def _holder(self, outside: Endpoint) -> Endpoint | None:
        return next((entry.inside for (held, _), entry in self._by_outside.items() if held == outside), None)

    def _entry_for(self, inside: Endpoint, remote: Endpoint, now: float) -> _Entry | None:
        key = inside, self._mapping.scope(remote)
        entry = self._by_forward.get((inside, remote)) or self._by_inside.get(key)
        if entry is not None:
            return entry
        outside = self._free_endpoint(inside, remote) if self.entries(now) < self.behaviour.capacity else None
        if outside is None:
            return None
        entry = _Entry(inside, outside, now)
        self._by_inside[key] = entry
        self._by_outside[outside, self._reuse.scope(remote)] = entry
        self._sweep_at = min(self._sweep_at, now + self.behaviour.timeout_s)
        return entry

    def _free_endpoint(self, inside: Endpoint, remote: Endpoint) -> Endpoint | None:
        if not self.behaviour.translates:
            return inside
        for address in self._pool(inside.address):
            for port in self._ports[address].candidates(inside):
                flow = Endpoint(address, port), self._reuse.scope(remote)
                if flow not in self._by_outside and flow not in self._claims and self._is_own(flow[0], inside):
                    return flow[0]
        return None

    def _is_own(self, outside: Endpoint, inside: Endpoint) -> bool:
        """Not mapped for another host; and with mappings a destination, not mapped at all."""
        if outside not in self._forwards:
            return True
        return self._forwards[outside] == inside and self.behaviour.mapping is EI

    def _pool(self, inside: Address) -> Iterator[Address]:
        """The outside addresses that this inside address may have, in the order to try them."""
        if self.behaviour.pooling is Pooling.PAIRED:
            if inside not in self._paired:
                self._paired[inside] = self._chance.choice(self.outside)
            yield self._paired[inside]
        else:
            start = self._chance.below(len(self.outside))
            yield from self.outside[start:]
            yield from self.outside[:start]

    def _refresh(self, entry: _Entry, remote: Endpoint, now: float) -> None:
        entry.used_at = now
        entry.permitted[self.behaviour.filtering.scope(remote)] = now

    def _permits(self, entry: _Entry, remote: Endpoint, now: float) -> bool:
        if self.behaviour.filtering is EI:
            return True
        used_at = entry.permitted.get(self.behaviour.filtering.scope(remote))
        return used_at is not None and now < used_at + self.behaviour.timeout_s

    def _claim(self, flow: tuple[Endpoint, Scope], now: float) -> None:
        if self.behaviour.unsolicited_claims and self.entries(now) < self.behaviour.capacity:
            self._claims[flow] = now
            self._sweep_at = min(self._sweep_at, now + CLAIM_S)

    def _expire(self, now: float) -> None:
        if now < self._sweep_at:
            return
        oldest = now - self.behaviour.timeout_s
        self._by_inside = {key: entry for key, entry in self._by_inside.items() if entry.used_at > oldest}
        self._by_outside = {key: entry for key, entry in self._by_outside.items() if entry.used_at > oldest}
        self._by_forward = {key: entry for key, entry in self._by_forward.items() if entry.used_at > oldest}
        self._claims = {flow: at for flow, at in self._claims.items() if at > now - CLAIM_S}
        entries = (*self._by_inside.values(), *self._by_forward.values())
        for entry in entries:
            entry.permitted = {scope: at for scope, at in entry.permitted.items() if at > oldest}
        deadlines = [entry.used_at + self.behaviour.timeout_s for entry in entries]
        self._sweep_at = min([*deadlines, *(at + CLAIM_S for at in self._claims.values())], default=inf)
