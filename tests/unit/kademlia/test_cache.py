import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.kademlia.cache import (
    MAX_CACHE_ENTRIES,
    PUBLIC_BIT,
    PUBLIC_ENTRIES_KEPT,
    CacheFull,
    EvictionReason,
    PeerCache,
    decode_entries,
    encode_entries,
)
from shadowmesh.records.cache_entry import CACHE_ENTRY_BYTES, CacheEntry
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError

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


@given(st.lists(st.integers(0, 1000), unique=True, max_size=MAX_CACHE_ENTRIES))
def test_the_file_is_96_bytes_an_entry_and_reads_back(numbers: list[int]) -> None:
    entries = tuple(entry(number, endpoint=SOMEWHERE, last_ok_at=number) for number in numbers)
    data = encode_entries(entries)
    assert len(data) == CACHE_ENTRY_BYTES * len(entries)
    assert decode_entries(data) == entries


@given(st.integers(0, 5 * CACHE_ENTRY_BYTES))
def test_a_file_that_was_cut_short_keeps_what_is_whole(length: int) -> None:
    data = encode_entries(entry(number) for number in range(5))
    assert decode_entries(data[:length]) == tuple(entry(number) for number in range(length // CACHE_ENTRY_BYTES))


def test_an_illegal_last_entry_is_left_out() -> None:
    data = bytearray(encode_entries([entry(1), entry(2)]))
    data[-1] = 1
    assert decode_entries(bytes(data)) == (entry(1),)


def test_an_illegal_entry_before_the_last_is_refused() -> None:
    data = bytearray(encode_entries([entry(1), entry(2)]))
    data[CACHE_ENTRY_BYTES - 1] = 1
    with pytest.raises(DecodeError):
        decode_entries(bytes(data))


def test_a_peer_twice_is_refused() -> None:
    with pytest.raises(DecodeError, match="twice"):
        decode_entries(encode_entries([entry(1), entry(1)]))


def test_more_than_a_hundred_entries_are_refused() -> None:
    with pytest.raises(DecodeError, match="at most 100"):
        decode_entries(encode_entries(entry(number) for number in range(MAX_CACHE_ENTRIES + 1)))


@given(st.binary(max_size=400))
def test_random_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        decode_entries(data)


def full_cache(special: dict[int, dict[str, object]]) -> PeerCache:
    return PeerCache(entry(number, **special.get(number, {})) for number in range(MAX_CACHE_ENTRIES))


def entry(number: int, **fields: object) -> CacheEntry:
    return CacheEntry(fingerprint(number), **{"last_ok_at": 1000, **fields})  # type: ignore[arg-type]


def fingerprint(number: int) -> Fingerprint:
    return Fingerprint(number.to_bytes(32, "little"))


def peer(number: int) -> PeerID:
    return fingerprint(number).peer_id
