import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.session.harness import endpoint

from shadowmesh.session.fragments import CutMessage, Flight, Fragment, cut
from shadowmesh.session.limits import MAX_REPAIR_REQUESTS, REASSEMBLY_S, SILENCE_S
from shadowmesh.session.reassembly import Reassembler

FRAGMENT_BYTES = Flight(2, bytes(8), bytes(8), 1).fragment_bytes
MESSAGE = bytes(index % 251 for index in range(5 * FRAGMENT_BYTES + 300))
A = endpoint(1)


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=4))
def test_fragments_give_their_message_in_any_order_and_with_duplicates(order: list[int], duplicates: list[int]) -> None:
    reassembler = _reassembler()
    results = _add(reassembler, [*order[:-1], *duplicates, order[-1]])
    assert MESSAGE in results
    assert len([result for result in results if result is not None]) == 1


def test_fragments_from_two_sources_do_not_mix() -> None:
    reassembler = _reassembler()
    assert _add(reassembler, [0, 1, 2]) == [None] * 3
    assert all(reassembler.add(fragment, endpoint(2), "group", 0.0) is None for fragment in _fragments(_cut())[3:])


@given(st.sampled_from([0, 3, 5]), st.booleans())
def test_a_forged_fragment_does_not_spoil_the_genuine_ones_whether_it_comes_before_or_after(
    index: int, before: bool
) -> None:
    reassembler = _reassembler()
    genuine = _fragments(_cut())
    forged = Fragment(genuine[index].flight, index, bytes(len(genuine[index].payload)))
    sequence = [forged, *genuine] if before else [*genuine[:-1], forged, genuine[-1]]
    results = [reassembler.add(fragment, A, "group", 0.0) for fragment in sequence]
    assert MESSAGE in results


@given(st.lists(st.booleans(), min_size=6, max_size=6))
def test_one_forgery_of_every_fragment_spoils_nothing_in_whatever_order(before: list[bool]) -> None:
    reassembler = _reassembler()
    results = [reassembler.add(fragment, A, "group", 0.0) for fragment in _poisoned(_fragments(_cut()), before)]
    assert MESSAGE in results


@pytest.mark.parametrize("before", [True, False])
def test_a_forger_who_always_wins_or_always_loses_the_race_spoils_no_long_message(before: bool) -> None:
    long = bytes(range(256)) * 48
    reassembler = _reassembler()
    sequence = _poisoned(_fragments(cut(3, b"cidcidci", long)), [before] * 11)
    assert long in [reassembler.add(fragment, A, "group", 0.0) for fragment in sequence]


def test_forging_every_fragment_twice_costs_one_retransmission() -> None:
    reassembler = _reassembler()
    genuine = _fragments(_cut())
    for byte in (1, 2):
        for fragment in genuine:
            forged = Fragment(fragment.flight, fragment.index, bytes([byte]) * len(fragment.payload))
            assert reassembler.add(forged, A, "group", 0.0) is None
    first = [reassembler.add(fragment, A, "group", 0.1) for fragment in genuine]
    second = [reassembler.add(fragment, A, "group", 0.6) for fragment in genuine]
    assert MESSAGE in first + second


def test_an_unfinished_message_is_forgotten_after_five_seconds() -> None:
    reassembler = _reassembler()
    _add(reassembler, [0, 1])
    assert reassembler.next_timeout() <= REASSEMBLY_S
    reassembler.expire(REASSEMBLY_S)
    assert (len(reassembler), reassembler.held_bytes, reassembler.next_timeout()) == (0, 0, math.inf)


def test_a_flood_from_one_group_evicts_only_its_own() -> None:
    reassembler = Reassembler(max_buffers=8, max_a_group=2, asks=False)
    reassembler.add(_fragments(_cut())[0], A, "quiet", 0.0)
    for number in range(50):
        reassembler.add(_fragments(cut(1, bytes(8), MESSAGE + bytes([number])))[0], A, "flood", 0.0)
    assert (len(reassembler), reassembler.evictions) == (3, 48)
    rest = [reassembler.add(fragment, A, "quiet", 0.0) for fragment in _fragments(_cut())[1:]]
    assert rest[-1] == MESSAGE


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1), st.integers(0, 9)), max_size=400))
def test_no_flood_holds_more_than_the_bound(steps: list[tuple[int, int, int]]) -> None:
    reassembler = Reassembler(max_buffers=8, max_a_group=2, asks=True)
    for message, index, group in steps:
        fragments = _fragments(cut(1, bytes(8), bytes([message]) * (FRAGMENT_BYTES + 1)))
        forged = Fragment(fragments[index].flight, index, bytes([group]) * len(fragments[index].payload))
        reassembler.add(forged, endpoint(group), group, 0.0)
        assert len(reassembler) <= 8
        assert reassembler.held_bytes <= 8 * 2 * (FRAGMENT_BYTES + 1)


def test_what_is_missing_is_asked_for_after_twenty_milliseconds_of_silence() -> None:
    reassembler = _reassembler()
    _add(reassembler, [0, 2, 5], now=0.0)
    _add(reassembler, [3], now=0.015)
    assert reassembler.requests(0.015 + SILENCE_S - 0.001) == []
    ((request, source),) = reassembler.requests(0.015 + SILENCE_S)
    assert (request.missing, source) == ((1, 4), A)


def test_requests_become_rarer_and_stop() -> None:
    reassembler = _reassembler()
    _add(reassembler, [0], now=0.0)
    times = []
    while (now := reassembler.next_timeout()) < REASSEMBLY_S:
        times.append(now)
        assert len(reassembler.requests(now)) == 1
    assert len(times) == MAX_REPAIR_REQUESTS
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == sorted(gaps)


def test_nothing_is_asked_for_where_the_sender_has_proved_nothing() -> None:
    reassembler = Reassembler(max_buffers=8, max_a_group=2, asks=False)
    reassembler.add(_fragments(_cut())[0], A, "group", 0.0)
    assert reassembler.requests(1.0) == []


def test_what_belongs_to_a_connection_that_is_over_is_forgotten() -> None:
    reassembler = _reassembler()
    _add(reassembler, [0])
    reassembler.forget(b"12345678")
    assert len(reassembler) == 0


def _reassembler() -> Reassembler:
    return Reassembler(max_buffers=8, max_a_group=2, asks=True)


def _cut() -> CutMessage:
    return cut(2, b"12345678", MESSAGE)


def _fragments(message: CutMessage) -> list[Fragment]:
    return [Fragment.decode(datagram) for datagram in message.datagrams]


def _add(reassembler: Reassembler, order: Sequence[int], now: float = 0.0) -> list[bytes | None]:
    fragments = _fragments(_cut())
    return [reassembler.add(fragments[index], A, "group", now) for index in order]


def _poisoned(genuine: Sequence[Fragment], before: Sequence[bool]) -> list[Fragment]:
    """Each fragment with a forgery before or behind it."""
    sequence = []
    for fragment, is_before in zip(genuine, before, strict=True):
        forged = Fragment(fragment.flight, fragment.index, bytes([255]) * len(fragment.payload))
        sequence += [forged, fragment] if is_before else [fragment, forged]
    return sequence
