"""The local cache: at most 100 peers of 96 bytes each. Spec: docs/spec/records.md, section 4."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from shadowmesh.identity.names import PeerID
from shadowmesh.records.cache_entry import CacheEntry

MAX_CACHE_ENTRIES = 100  # 9.6 KB: what a founding requirement allows, and more peers than most people have
PUBLIC_ENTRIES_KEPT = 20  # one k-bucket: enough to enter the DHT when every backbone node is gone
PUBLIC_BIT = 0x80  # of CacheEntry.capabilities


class EvictionReason(Enum):
    FAILED = "it has failed most often"
    OLDEST = "its last session is longest ago"


@dataclass(frozen=True, slots=True)
class Eviction:
    """Who had to make room."""

    peer: PeerID
    reason: EvictionReason


class CacheFull(Exception):
    """All entries belong to trusted peers, which are never evicted."""


class PeerCache:
    """One entry a PeerID; the order is that of insertion."""

    def __init__(self, entries: Iterable[CacheEntry] = ()) -> None:
        """Keeps the first 100 entries, and of two for one PeerID the first."""
        self._entries: dict[PeerID, CacheEntry] = {}
        for entry in entries:
            if len(self._entries) == MAX_CACHE_ENTRIES:
                break
            self._entries.setdefault(entry.fingerprint.peer_id, entry)
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[CacheEntry]:
        return iter(self._entries.values())

    def __contains__(self, peer: PeerID) -> bool:
        return peer in self._entries

    def look_up(self, peer: PeerID) -> CacheEntry | None:
        """Counts a hit or a miss."""
        entry = self._entries.get(peer)
        if entry is None:
            self.misses += 1
        else:
            self.hits += 1
        return entry

    def peek(self, peer: PeerID) -> CacheEntry | None:
        """Counts nothing."""
        return self._entries.get(peer)

    def put(self, entry: CacheEntry, trusted: Collection[PeerID]) -> Eviction | None:
        """Inserts or replaces. Raises CacheFull when only entries of `trusted` peers are left to evict."""
        peer = entry.fingerprint.peer_id
        eviction = None
        if peer not in self._entries and len(self._entries) >= MAX_CACHE_ENTRIES:
            eviction = self._choose_victim(trusted)
            del self._entries[eviction.peer]
        self._entries[peer] = entry
        return eviction

    def remove(self, peer: PeerID) -> None:
        self._entries.pop(peer, None)

    def _choose_victim(self, trusted: Collection[PeerID]) -> Eviction:
        """First who failed most, then whose last session is oldest; bootstrap entries only when there are many."""
        strangers = [entry for entry in self._entries.values() if entry.fingerprint.peer_id not in trusted]
        spare_public = sum(map(_is_bootstrap, strangers)) > PUBLIC_ENTRIES_KEPT
        candidates = [entry for entry in strangers if spare_public or not _is_bootstrap(entry)] or strangers
        if not candidates:
            raise CacheFull("the cache holds trusted peers only")
        victim = min(candidates, key=lambda entry: (-entry.failures, entry.last_ok_at, entry.fingerprint))
        reason = EvictionReason.FAILED if victim.failures else EvictionReason.OLDEST
        return Eviction(victim.fingerprint.peer_id, reason)


def _is_bootstrap(entry: CacheEntry) -> bool:
    """A PUBLIC node whose address is known: a way into the DHT when nobody else answers."""
    return bool(entry.capabilities & PUBLIC_BIT) and entry.endpoint is not None
