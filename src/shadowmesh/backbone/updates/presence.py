"""Who is connected, and where it says it can be reached: what hints are made of."""

from __future__ import annotations

from dataclasses import dataclass

from shadowmesh.backbone.clock import Clock
from shadowmesh.backbone.limits.bounded_table import BoundedTable
from shadowmesh.backbone.stores.record_store import StoredRecord
from shadowmesh.identity.names import PeerID
from shadowmesh.records.hints import Hints
from shadowmesh.wire.endpoint import Endpoint

# About 300 bytes each, 20 MB. Of a peer that is forgotten we say that it was last seen when its record was issued.
MAX_PEERS = 65_536
# An open connection has answered a ping within 40 s; whole minutes let a hint stay the same bytes for a while.
_LAST_SEEN_STEP_S = 60


@dataclass(slots=True)
class _Presence:
    last_seen_at: int
    online: bool = False
    endpoints: tuple[Endpoint, ...] = ()
    encoded: bytes = b""
    encoded_minute: int = -1


class Presence:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._peers: BoundedTable[PeerID, _Presence] = BoundedTable(MAX_PEERS)

    def seen(self, peer: PeerID) -> None:
        """It has just proved that it is there."""
        self._touch(peer)

    def connected(self, peer: PeerID) -> None:
        self._touch(peer).online = True

    def disconnected(self, peer: PeerID) -> None:
        presence = self._touch(peer)
        presence.online = False
        presence.endpoints = ()

    def reachable_at(self, peer: PeerID, endpoints: tuple[Endpoint, ...]) -> None:
        """For PUBLIC peers only: nobody learns a PRIVATE one's address here."""
        self._touch(peer).endpoints = endpoints

    def hints(self, record: StoredRecord) -> bytes:
        """Encoded records.hints.Hints of the record's peer."""
        presence = self._peers.get(record.peer)
        if presence is None:
            return Hints(online=False, last_seen_at=record.issued_at).encode()
        minute = int(self._clock()) // _LAST_SEEN_STEP_S
        if not presence.encoded or (presence.online and presence.encoded_minute != minute):
            seen_at = minute * _LAST_SEEN_STEP_S if presence.online else presence.last_seen_at
            presence.encoded = Hints(presence.online, seen_at, presence.endpoints).encode()
            presence.encoded_minute = minute
        return presence.encoded

    def _touch(self, peer: PeerID) -> _Presence:
        presence = self._peers.get(peer) or _Presence(0)
        presence.last_seen_at = int(self._clock())
        presence.encoded = b""
        self._peers.put(peer, presence)
        return presence
