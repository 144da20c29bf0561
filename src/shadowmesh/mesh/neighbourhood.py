"""The peers in our LAN: what the discovery there means to the rest of a node. Spec: docs/spec/lan.md, section 5."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.mesh.connector import Connector
from shadowmesh.mesh.known_peers import KnownPeers
from shadowmesh.mesh.outputs import SaveRecord
from shadowmesh.mesh.own_record import OwnRecord
from shadowmesh.mesh.state import PeerState
from shadowmesh.paths.lan.discovery import (
    Announce,
    AnnouncementDue,
    LanDiscovery,
    PeerNear,
    RecordFetched,
)
from shadowmesh.records.peer_record import RecordRefused, SignedRecord
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

_REFUSED = "lan: record refused"


class Neighbourhood:
    """After each call: drain `poll()`, then read `next_timeout()`. What it learns goes to the connector at once."""

    def __init__(
        self,
        own: Fingerprint,
        own_record: OwnRecord,
        known: KnownPeers,
        connector: Connector,
        *,
        entropy: Entropy,
        ids: OpenIds,
    ) -> None:
        """Owns nothing but the discovery."""
        self._discovery = LanDiscovery(own, entropy=entropy, ids=ids)
        self._own_record = own_record
        self._known = known
        self._connector = connector
        self._refused: Counter[str] = Counter()

    def set_endpoints(self, endpoints: Sequence[Endpoint], now: float) -> None:
        self._discovery.set_endpoints(endpoints, now)

    def peer_missing(self, now: float) -> None:
        """One more than before."""
        self._discovery.hurry(now)

    def forget(self, peer: PeerID) -> None:
        self._discovery.forget(peer)

    def receive_announcement(self, data: bytes, source: Endpoint, now: float) -> None:
        self._discovery.receive_announcement(data, source, self._missing(), now)

    def receive_datagram(self, data: bytes, source: Endpoint, now: float) -> None:
        own = self._own_record.record
        self._discovery.receive_datagram(data, source, own.encoded, own.record_id, now)

    def handle_timeout(self, now: float) -> None:
        self._discovery.handle_timeout(now)

    def next_timeout(self) -> float | None:
        return self._discovery.next_timeout()

    def poll(self, now: float) -> Transmit | Announce | SaveRecord | None:
        while (output := self._discovery.poll()) is not None:
            match output:
                case AnnouncementDue():
                    self._discovery.announce(self._missing())
                case PeerNear():
                    self._peer_near(output, now)
                case RecordFetched():
                    if (saved := self._record_fetched(output, now)) is not None:
                        return saved
                case _:
                    return output
        return None

    @property
    def drops(self) -> Mapping[str, int]:
        return self._refused + Counter(self._discovery.drops)

    def _missing(self) -> list[Fingerprint]:
        return [peer.trusted.fingerprint for peer in self._connector.all() if peer.state is not PeerState.CONNECTED]

    def _peer_near(self, near: PeerNear, now: float) -> None:
        peer = self._connector.get(near.peer)
        if peer is None:
            return
        record = self._known.record(near.peer)
        if record is None or not self._known.is_fresh(record):
            self._discovery.fetch(peer.trusted.fingerprint, near, now)
        if record is not None:
            self._connector.met_nearby(near.peer, near.endpoint, now)

    def _record_fetched(self, fetched: RecordFetched, now: float) -> SaveRecord | None:
        if self._connector.get(fetched.peer) is None:
            return None
        try:
            record = SignedRecord.decode(fetched.record)
            self._known.accept(fetched.peer, record)
        except (DecodeError, RecordRefused):
            self._refused[_REFUSED] += 1
            return None
        self._connector.met_nearby(fetched.peer, fetched.endpoint, now)
        return SaveRecord(record)
