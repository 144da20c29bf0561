"""The table that forgets."""

from shadowmesh.backbone.limits.bounded_table import BoundedTable


def test_the_entry_used_longest_ago_goes_first() -> None:
    table: BoundedTable[str, int] = BoundedTable(2)
    table.put("a", 1)
    table.put("b", 2)
    assert table.get("a") == 1
    table.put("c", 3)
    assert (table.get("a"), table.get("b"), table.get("c")) == (1, None, 3)
    assert len(table) == 2
