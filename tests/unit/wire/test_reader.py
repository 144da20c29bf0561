import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.reader import Reader


@given(st.binary(max_size=40), st.lists(st.integers(0, 10), max_size=6))
def test_fields_and_rest_are_the_message_cut_in_pieces(data: bytes, counts: list[int]) -> None:
    reader = Reader(data, "test")
    pieces = []
    for count in counts:
        try:
            pieces.append(reader.take(count))
        except DecodeError:
            assert count > len(data) - sum(map(len, pieces))
    pieces.append(reader.rest())
    reader.finish()
    assert b"".join(pieces) == data


def test_numbers_are_big_endian() -> None:
    assert Reader(b"\1\2\3", "test").uint(3) == 0x010203


def test_a_message_that_is_too_short_is_refused_by_its_name() -> None:
    with pytest.raises(DecodeError, match="probe: 3 bytes, want at least 4"):
        Reader(b"\1\2\3", "probe").uint(4)


def test_a_refused_field_leaves_the_rest_where_it_was() -> None:
    reader = Reader(b"\1\2", "test")
    with pytest.raises(DecodeError):
        reader.take(3)
    assert reader.rest() == b"\1\2"


def test_bytes_that_nobody_took_are_refused() -> None:
    reader = Reader(b"\1\2\3", "test")
    reader.take(1)
    with pytest.raises(DecodeError, match="2 bytes too many"):
        reader.finish()
