import pytest

from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.kademlia.cache import (
    MAX_CACHE_ENTRIES,
    PUBLIC_BIT,
    PUBLIC_ENTRIES_KEPT,
    CacheFull,
    EvictionReason,
    PeerCache,
)
from shadowmesh.records.cache_entry import CacheEntry
from shadowmesh.wire.endpoint import Endpoint

NOBODY: frozenset[PeerID] = frozenset()
SOMEWHERE = Endpoint.of("198.18.0.1", 41641)


def test_a_look_up_counts_hits_and_misses() -> None:
    cache = PeerCache([entry(1)])
    assert cache.look_up(peer(1)) == entry(1)
    assert cache.look_up(peer(2)) is None
    assert (cache.hits, cache.misses) == (1, 1)


def test_peeking_counts_nothing() -> None:
    cache = PeerCache([entry(1)])
    assert cache.peek(peer(1)) == entry(1)
    assert (cache.hits, cache.misses) == (0, 0)


def test_a_second_entry_for_a_peer_replaces_the_first() -> None:
    cache = PeerCache([entry(1)])
    assert cache.put(entry(1, rtt_ms=7), NOBODY) is None
    assert list(cache) == [entry(1, rtt_ms=7)]


def test_a_removed_entry_is_gone() -> None:
    cache = PeerCache([entry(1)])
    cache.remove(peer(1))
    assert peer(1) not in cache


def test_who_failed_most_makes_room() -> None:
    cache = full_cache({3: {"failures": 2}, 4: {"failures": 5}})
    eviction = cache.put(entry(500), NOBODY)
    assert eviction is not None
    assert (eviction.peer, eviction.reason) == (peer(4), EvictionReason.FAILED)
    assert len(cache) == MAX_CACHE_ENTRIES


def test_among_equals_the_oldest_session_makes_room() -> None:
    cache = full_cache({7: {"last_ok_at": 10}})
    eviction = cache.put(entry(500), NOBODY)
    assert eviction is not None
    assert (eviction.peer, eviction.reason) == (peer(7), EvictionReason.OLDEST)


def test_a_trusted_peer_never_makes_room() -> None:
    cache = full_cache({4: {"failures": 9}})
    eviction = cache.put(entry(500), {peer(4)})
    assert eviction is not None
    assert eviction.peer != peer(4)


def test_a_cache_of_trusted_peers_takes_nobody_else() -> None:
    cache = full_cache({})
    with pytest.raises(CacheFull):
        cache.put(entry(500), {peer(number) for number in range(MAX_CACHE_ENTRIES)})


def test_the_few_public_nodes_with_an_address_are_kept_as_a_way_into_the_dht() -> None:
    public = {"capabilities": PUBLIC_BIT, "endpoint": SOMEWHERE, "failures": 9}
    cache = full_cache(dict.fromkeys(range(PUBLIC_ENTRIES_KEPT), public))
    eviction = cache.put(entry(500), NOBODY)
    assert eviction is not None
    assert eviction.peer not in {peer(number) for number in range(PUBLIC_ENTRIES_KEPT)}


def test_of_many_public_nodes_the_worst_makes_room() -> None:
    public = {"capabilities": PUBLIC_BIT, "endpoint": SOMEWHERE, "failures": 9}
    cache = full_cache(dict.fromkeys(range(PUBLIC_ENTRIES_KEPT + 1), public))
    eviction = cache.put(entry(500), NOBODY)
    assert eviction is not None
    assert eviction.peer in {peer(number) for number in range(PUBLIC_ENTRIES_KEPT + 1)}


def full_cache(special: dict[int, dict[str, object]]) -> PeerCache:
    return PeerCache(entry(number, **special.get(number, {})) for number in range(MAX_CACHE_ENTRIES))


def entry(number: int, **fields: object) -> CacheEntry:
    return CacheEntry(fingerprint(number), **{"last_ok_at": 1000, **fields})  # type: ignore[arg-type]


def fingerprint(number: int) -> Fingerprint:
    return Fingerprint(number.to_bytes(32, "little"))


def peer(number: int) -> PeerID:
    return fingerprint(number).peer_id
