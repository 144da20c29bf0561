"""M4 of handshakes that a responder has completed, kept to be repeated. Spec: docs/spec/session.md, section 6."""

from __future__ import annotations

import math
from dataclasses import dataclass

from shadowmesh.identity.names import PeerID
from shadowmesh.session.limits import AMPLIFICATION, COMPLETED_S, MAX_COMPLETED, REPEAT_MESSAGE4_S
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import IdTable, OpenIds
from shadowmesh.wire.transmit import Transmit


@dataclass(slots=True)
class _Completed:
    peer: PeerID
    datagram: bytes
    expires_at: float
    repeat_from: float


class CompletedTable:
    """No secret is kept: M4 as it was sent, and for whom."""

    def __init__(self, ids: OpenIds) -> None:
        self._by_cid: IdTable[_Completed] = IdTable(ids)  # oldest first

    def __contains__(self, cid: bytes) -> bool:
        return cid in self._by_cid

    def __len__(self) -> int:
        return len(self._by_cid)

    def add(self, cid: bytes, peer: PeerID, datagram: bytes, now: float) -> None:
        if len(self._by_cid) >= MAX_COMPLETED:
            del self._by_cid[next(iter(self._by_cid))]
        self._by_cid[cid] = _Completed(peer, datagram, now + COMPLETED_S, now + REPEAT_MESSAGE4_S)

    def repeat(self, cid: bytes, received_bytes: int, source: Endpoint, now: float) -> list[Transmit]:
        """The answer to any fragment of an M3 that comes again: at most one M4 a flight, and within three times."""
        completed = self._by_cid[cid]
        if now < completed.repeat_from or len(completed.datagram) > AMPLIFICATION * received_bytes:
            return []
        completed.repeat_from = now + REPEAT_MESSAGE4_S
        return [Transmit(completed.datagram, source)]

    def forget(self, peer: PeerID) -> None:
        for cid in [cid for cid, completed in self._by_cid.items() if completed.peer == peer]:
            del self._by_cid[cid]

    def expire(self, now: float) -> None:
        while self._by_cid and next(iter(self._by_cid.values())).expires_at <= now:
            del self._by_cid[next(iter(self._by_cid))]

    def next_timeout(self) -> float:
        """Infinite when there is none."""
        return next(iter(self._by_cid.values())).expires_at if self._by_cid else math.inf
