"""Packets inside the tunnel between two simulated hosts, and what the engines' counters say of them."""

from __future__ import annotations

from itertools import pairwise

from tests.sim.host import Host
from tests.sim.world import World

from shadowmesh.node.traffic import REPORT_INTERVAL_S

PACKET_INTERVAL_S = 0.05
_PACKET_BYTES = 100


class Flow:
    """One packet each 50 ms from the first host to the second, and an answer to each that arrives.

    A sender that has the other installed seals the packet, whatever becomes of it. `arrived_at` are the times when a
    packet came through.
    """

    def __init__(self, world: World, sender: Host, receiver: Host, *, answered: bool = True) -> None:
        self.arrived_at: list[float] = []
        self._world = world
        self._sender = sender
        self._receiver = receiver
        self._answered = answered
        self._send()
        for host in (sender, receiver):
            self._report(host)

    def gap_after(self, at: float) -> float:
        """Seconds from then to the first packet that came through."""
        return min((arrived for arrived in self.arrived_at if arrived > at), default=float("inf")) - at

    @property
    def longest_gap_s(self) -> float:
        return max(later - earlier for earlier, later in pairwise(self.arrived_at))

    def _send(self) -> None:
        passes = self._world.would_pass(self._sender, self._receiver)
        self._count(self._sender, self._receiver, sent=True, received=passes and self._answered)
        if passes:
            self._count(self._receiver, self._sender, sent=self._answered, received=True)
            self.arrived_at.append(self._world.now)
        self._world.timeline.after(PACKET_INTERVAL_S, self._send)

    def _report(self, host: Host) -> None:
        host.report_traffic()
        self._world.timeline.after(REPORT_INTERVAL_S, lambda: self._report(host))

    @staticmethod
    def _count(host: Host, other: Host, *, sent: bool, received: bool) -> None:
        if host.engine is not None:
            host.engine.count(other.wireguard_key, rx_bytes=received * _PACKET_BYTES, tx_bytes=sent * _PACKET_BYTES)
