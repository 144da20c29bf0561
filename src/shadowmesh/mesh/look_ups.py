"""Look-ups at the backbone: one at a time for a peer, few at a time altogether."""

from __future__ import annotations

from collections import deque

from shadowmesh.identity.names import PeerID
from shadowmesh.mesh.outputs import LookUp

MAX_OUTSTANDING = 8  # what one connection to the backbone carries without queueing there
MAX_WAITING = 1100  # a look-up for each trusted peer at once, and a hundred that a person asked for


class LookUps:
    """Whoever answers a LookUp calls `answered`, so that the next one can leave. Drain `poll()` after each call."""

    def __init__(self) -> None:
        self._outstanding: dict[PeerID, None] = {}
        self._waiting: dict[PeerID, bytes | None] = {}
        self._out: deque[LookUp] = deque()

    def __contains__(self, peer: PeerID) -> bool:
        return peer in self._outstanding or peer in self._waiting

    def ask(self, peer: PeerID, have: bytes | None) -> bool:
        """False when too many wait. `have`: first 8 bytes of the record id that is held."""
        if peer in self:
            return True
        if len(self._waiting) >= MAX_WAITING:
            return False
        self._waiting[peer] = have
        self._advance()
        return True

    def answered(self, peer: PeerID) -> None:
        self._outstanding.pop(peer, None)
        self._advance()

    def clear(self) -> list[PeerID]:
        """The link is lost: whose answers will not come."""
        lost = [*self._outstanding, *self._waiting]
        self._outstanding.clear()
        self._waiting.clear()
        return lost

    def poll(self) -> LookUp | None:
        return self._out.popleft() if self._out else None

    def _advance(self) -> None:
        while self._waiting and len(self._outstanding) < MAX_OUTSTANDING:
            peer = next(iter(self._waiting))
            self._outstanding[peer] = None
            self._out.append(LookUp(peer, self._waiting.pop(peer)))
