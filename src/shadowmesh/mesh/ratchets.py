"""The PSK ratchets of all tunnels. Spec: docs/spec/mesh.md, section 4."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

from shadowmesh.identity.names import PeerID
from shadowmesh.session.events import DropReason, SessionEstablished
from shadowmesh.session.ratchet import Ratchet, RatchetOutput
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.open_ids import CONTROL_ID, IdTable, OpenIds


class Ratchets:
    """One ratchet a peer. After each call: drain `poll()`, then read `next_timeout()`."""

    def __init__(self, *, entropy: Entropy, ids: OpenIds) -> None:
        self._entropy = entropy
        self._ratchets: dict[PeerID, Ratchet] = {}
        self._by_cid: IdTable[PeerID] = IdTable(ids)
        self._counters: dict[PeerID, tuple[int, int]] = {}
        self._drops: Counter[str] = Counter()
        self._out: deque[tuple[PeerID, RatchetOutput]] = deque()

    def start(self, session: SessionEstablished, now: float) -> None:
        """A later session of the peer ends the ratchet of the one before, wherever that stands."""
        self.stop(session.peer)
        ratchet = Ratchet(session.role, session.psk, entropy=self._entropy, now=now)
        self._ratchets[session.peer] = ratchet
        self._by_cid[ratchet.cid] = session.peer

    def stop(self, peer: PeerID) -> None:
        ratchet = self._ratchets.pop(peer, None)
        if ratchet is not None:
            self._count(ratchet)
            del self._by_cid[ratchet.cid]
            self._counters.pop(peer, None)

    def epoch(self, peer: PeerID) -> int:
        """Raises KeyError."""
        return self._ratchets[peer].epoch

    def traffic(self, peer: PeerID, rx_bytes: int, tx_bytes: int, now: float) -> None:
        """The engine's counters, as they stand: only a change is traffic."""
        before, self._counters[peer] = self._counters.get(peer, (0, 0)), (rx_bytes, tx_bytes)
        if before != (rx_bytes, tx_bytes):
            self._ratchets[peer].traffic(now)
            self._drain(peer)

    def receive_datagram(self, data: bytes, source: Endpoint, now: float) -> None:
        peer = self._by_cid.get(data[CONTROL_ID])
        if peer is None:
            self._drops[f"ratchet: {DropReason.UNKNOWN_CONNECTION.value}"] += 1
            return
        self._ratchets[peer].receive_datagram(data, source, now)
        self._drain(peer)

    def handle_timeout(self, now: float) -> None:
        for peer, ratchet in self._ratchets.items():
            ratchet.handle_timeout(now)
            self._drain(peer)

    def next_timeout(self) -> float | None:
        deadlines = [ratchet.next_timeout() for ratchet in self._ratchets.values()]
        return min((at for at in deadlines if at is not None), default=None)

    def poll(self) -> tuple[PeerID, RatchetOutput] | None:
        return self._out.popleft() if self._out else None

    @property
    def drops(self) -> Mapping[str, int]:
        drops = self._drops.copy()
        for ratchet in self._ratchets.values():
            drops.update(_named(ratchet))
        return drops

    def _drain(self, peer: PeerID) -> None:
        while (output := self._ratchets[peer].poll()) is not None:
            self._out.append((peer, output))

    def _count(self, ratchet: Ratchet) -> None:
        self._drops.update(_named(ratchet))


def _named(ratchet: Ratchet) -> dict[str, int]:
    return {f"ratchet: {reason.value}": count for reason, count in ratchet.drops.items()}
