"""What we know of other peers: verified records, and the cache entry of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.kademlia.cache import PUBLIC_BIT, CacheFull, PeerCache
from shadowmesh.mesh.trust import TrustList
from shadowmesh.records.cache_entry import CacheEntry, PathKind
from shadowmesh.records.peer_record import Mode, RecordRefused, Refusal, SignedRecord
from shadowmesh.wire.clock import WallClock
from shadowmesh.wire.endpoint import Endpoint

_ID_PREFIX_BYTES = 8


class KnownPeers:
    """Records are kept of peers that are trusted or in the cache: at most 1,100 of 7.4 KB."""

    def __init__(
        self,
        trust: TrustList,
        entries: Iterable[CacheEntry],
        records: Iterable[SignedRecord],
        *,
        wall_clock: WallClock,
    ) -> None:
        """`records` were verified before they were saved."""
        self._trust = trust
        self._wall_clock = wall_clock
        self.cache = PeerCache(entries)
        self._records: dict[PeerID, SignedRecord] = {}
        for record in records:
            peer = record.peer_id
            if (peer in trust or peer in self.cache) and self._is_trusted_key(peer, record):
                self._records[peer] = record

    def record(self, peer: PeerID) -> SignedRecord | None:
        return self._records.get(peer)

    def has(self, peer: PeerID, record_id: bytes) -> bool:
        """Whether this is the record that is held of the peer."""
        record = self._records.get(peer)
        return record is not None and record.record_id == record_id

    def look_up(self, peer: PeerID) -> SignedRecord | None:
        """Counts a hit or a miss of the cache."""
        self.cache.look_up(peer)
        return self._records.get(peer)

    def records(self) -> tuple[SignedRecord, ...]:
        return tuple(self._records.values())

    def is_fresh(self, record: SignedRecord) -> bool:
        return self._wall_clock() < record.record.expires_at

    def forget_other_key(self, fingerprint: Fingerprint) -> None:
        """Trust begins: what was known under this PeerID but of another key does not count."""
        peer = fingerprint.peer_id
        record, entry = self._records.get(peer), self.cache.peek(peer)
        if record is not None and record.record.public.fingerprint != fingerprint:
            del self._records[peer]
        if entry is not None and entry.fingerprint != fingerprint:
            self.cache.remove(peer)

    def last_endpoint(self, peer: PeerID) -> Endpoint | None:
        entry = self.cache.peek(peer)
        return None if entry is None else entry.endpoint

    def latest_first(self, peers: Iterable[PeerID]) -> list[PeerID]:
        """By their last session; who never had one comes last."""
        last_ok = {entry.fingerprint.peer_id: entry.last_ok_at for entry in self.cache}
        return sorted(peers, key=lambda peer: -last_ok.get(peer, 0))

    def accept(self, peer: PeerID, record: SignedRecord) -> None:
        """Keeps a record that somebody sent us. Raises RecordRefused."""
        if not self._is_trusted_key(peer, record):
            raise RecordRefused(Refusal.WRONG_PEER)
        record.accept(peer, now=self._wall_clock(), known=self._records.get(peer))
        self.keep(peer, record)

    def keep(self, peer: PeerID, record: SignedRecord) -> None:
        """Keeps a record that was verified by the caller."""
        entry = self.cache.peek(peer) or CacheEntry(record.record.public.fingerprint)
        self._put(
            replace(
                entry,
                record_id=record.record_id[:_ID_PREFIX_BYTES],
                sequence=record.record.sequence & 0xFFFFFFFFFFFF,
                home_relay=_first_relay(record),
                expires_at=record.record.expires_at,
                capabilities=_capability_byte(record),
                region=record.record.region,
            )
        )
        if peer in self._trust or peer in self.cache:
            self._records[peer] = record

    def keep_newer(self, peer: PeerID, record: SignedRecord) -> bool:
        """Keeps it, verified by the caller, unless the one that we have is as new. Whether it was kept."""
        held = self._records.get(peer)
        is_newer = held is None or record.record.sequence > held.record.sequence
        if is_newer:
            self.keep(peer, record)
        return is_newer

    def reached(self, peer: PeerID, endpoint: Endpoint) -> bool:
        """A session was established there. True when the last one was elsewhere, or none is known."""
        entry = self._entry(peer)
        moved = entry is None or entry.endpoint != endpoint
        if entry is not None:
            wall = max(0, int(self._wall_clock()))
            self._put(replace(entry, endpoint=endpoint, last_ok_at=wall, path_kind=PathKind.DIRECT, failures=0))
        return moved

    def measured(self, peer: PeerID, rtt_s: float) -> None:
        entry = self.cache.peek(peer)
        if entry is not None:
            self._put(replace(entry, rtt_ms=min(round(rtt_s * 1000), 0xFFFF)))

    def failed(self, peer: PeerID) -> None:
        entry = self.cache.peek(peer)
        if entry is not None:
            self._put(replace(entry, failures=min(entry.failures + 1, 0xFF)))

    def _entry(self, peer: PeerID) -> CacheEntry | None:
        trusted = self._trust.get(peer)
        return self.cache.peek(peer) or (None if trusted is None else CacheEntry(trusted.fingerprint))

    def _put(self, entry: CacheEntry) -> None:
        try:
            eviction = self.cache.put(entry, self._trust)
        except CacheFull:
            return
        if eviction is not None and eviction.peer not in self._trust:
            self._records.pop(eviction.peer, None)

    def _is_trusted_key(self, peer: PeerID, record: SignedRecord) -> bool:
        """Trust is pinned to 32 bytes, of which a PeerID has 20."""
        trusted = self._trust.get(peer)
        return trusted is None or record.record.public.fingerprint == trusted.fingerprint


def _first_relay(record: SignedRecord) -> bytes:
    relays = record.record.home_relays
    return relays[0].raw[:_ID_PREFIX_BYTES] if relays else bytes(_ID_PREFIX_BYTES)


def _capability_byte(record: SignedRecord) -> int:
    public = PUBLIC_BIT if record.record.mode is Mode.PUBLIC else 0
    return record.record.capabilities & (PUBLIC_BIT - 1) | public
