from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.wire.open_ids import CloseId, IdChange, IdTable, OpenId, OpenIds

A, B = b"a" * 8, b"b" * 8


def test_an_id_is_opened_once_and_closed_with_its_last_holder() -> None:
    changes: list[IdChange] = []
    ids = OpenIds(changes.append)
    ids.open(A)
    ids.open(A)
    ids.close(A)
    assert changes == [OpenId(A)]
    ids.close(A)
    assert changes == [OpenId(A), CloseId(A)]


def test_what_is_not_open_cannot_be_closed() -> None:
    with pytest.raises(KeyError):
        OpenIds().close(A)


def test_a_table_holds_its_ids_open() -> None:
    changes: list[IdChange] = []
    table: IdTable[int] = IdTable(OpenIds(changes.append))
    table[A] = 1
    table[A] = 2
    table.update({B: 3})
    assert table.pop(A) == 2
    assert table.pop(A, None) is None
    table.clear()
    assert changes == [OpenId(A), OpenId(B), CloseId(A), CloseId(B)]


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.booleans(), st.booleans())))
def test_what_is_open_is_what_any_table_holds(steps: list[tuple[bytes, bool, bool]]) -> None:
    open_now: set[bytes] = set()

    def changed(change: IdChange) -> None:
        assert (change.id in open_now) is isinstance(change, CloseId)
        open_now.symmetric_difference_update({change.id})

    ids = OpenIds(changed)
    tables: list[IdTable[None]] = [IdTable(ids), IdTable(ids)]
    for id_, which, adds in steps:
        if adds:
            tables[which][id_] = None
        else:
            tables[which].pop(id_, None)
        assert open_now == set(Counter([*tables[0], *tables[1]]))
