import math

from tests.unit.session.harness import endpoint, identity

from shadowmesh.session.completed import CompletedTable
from shadowmesh.session.limits import COMPLETED_S, MAX_COMPLETED, REPEAT_MESSAGE4_S
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

PEER, DATAGRAM, A = identity(1).peer_id, bytes(76), endpoint(1)


def test_message4_is_repeated_once_a_flight() -> None:
    table = _table()
    assert table.repeat(b"c", 1232, A, 0.0) == []
    assert table.repeat(b"c", 1232, A, REPEAT_MESSAGE4_S) == [Transmit(DATAGRAM, A)]
    assert table.repeat(b"c", 1232, A, REPEAT_MESSAGE4_S + 0.1) == []


def test_a_tiny_fragment_is_not_answered_with_more_than_three_times_its_size() -> None:
    assert _table().repeat(b"c", 25, A, 1.0) == []


def test_it_is_forgotten_after_a_minute() -> None:
    table = _table()
    assert table.next_timeout() == COMPLETED_S
    table.expire(COMPLETED_S)
    assert b"c" not in table
    assert table.next_timeout() == math.inf


def test_it_is_forgotten_with_its_peer() -> None:
    table = _table()
    table.add(b"d", identity(2).peer_id, DATAGRAM, 0.0)
    table.forget(PEER)
    assert (b"c" in table, b"d" in table) == (False, True)


def test_the_table_is_bounded_and_the_oldest_goes() -> None:
    table = _table()
    for number in range(MAX_COMPLETED):
        table.add(bytes([number // 256, number % 256]), PEER, DATAGRAM, 0.0)
    assert len(table) == MAX_COMPLETED
    assert b"c" not in table


def _table() -> CompletedTable:
    table = CompletedTable(OpenIds())
    table.add(b"c", PEER, DATAGRAM, 0.0)
    return table
