from typing import Any

import pytest

from shadowmesh.records.fields import Fields
from shadowmesh.wire.errors import DecodeError


def test_a_number_within_its_bounds_is_read() -> None:
    assert Fields({5: 7}, "test").uint(5, 7, lowest=7) == 7


@pytest.mark.parametrize("value", [-1, 8, True, False, None, "7", b"7", [7], {7: 7}])
def test_what_is_no_number_from_0_to_7_is_refused(value: Any) -> None:
    with pytest.raises(DecodeError, match="field 5 is not a number from 0 to 7"):
        Fields({5: value}, "test").uint(5, 7)


def test_a_number_below_the_lowest_is_refused() -> None:
    with pytest.raises(DecodeError, match="from 1 to 7"):
        Fields({5: 0}, "test").uint(5, 7, lowest=1)


def test_numbers_are_read_in_their_order() -> None:
    assert Fields({5: [1, 2]}, "test").uints(5, 2, 7) == [1, 2]


@pytest.mark.parametrize("value", [[1], [1, 2, 3], [1, 8], [1, True], 1, "ab", b"ab", {0: 1, 1: 2}])
def test_what_are_no_two_numbers_from_0_to_7_are_refused(value: Any) -> None:
    with pytest.raises(DecodeError):
        Fields({5: value}, "test").uints(5, 2, 7)


@pytest.mark.parametrize("value", [True, False])
def test_a_truth_value_is_read(value: bool) -> None:
    assert Fields({5: value}, "test").boolean(5) is value


@pytest.mark.parametrize("value", [0, 1, None, "true"])
def test_a_number_is_no_truth_value(value: Any) -> None:
    with pytest.raises(DecodeError, match="neither true nor false"):
        Fields({5: value}, "test").boolean(5)


def test_bytes_of_their_length_are_read() -> None:
    assert Fields({5: b"abc"}, "test").octets(5, 3) == b"abc"


@pytest.mark.parametrize("value", [b"ab", b"abcd", "abc", [97, 98, 99], None])
def test_what_is_no_three_bytes_is_refused(value: Any) -> None:
    with pytest.raises(DecodeError, match="field 5 is not 3 bytes"):
        Fields({5: value}, "test").octets(5, 3)


def test_items_left_out_are_none() -> None:
    assert Fields({}, "test").items(5, 2) == []


@pytest.mark.parametrize("value", [[], [1, 2, 3], {}, "ab", None])
def test_no_items_and_too_many_are_refused(value: Any) -> None:
    with pytest.raises(DecodeError, match="not an array of 1 to 2"):
        Fields({5: value}, "test").items(5, 2)


def test_every_item_has_its_length() -> None:
    assert Fields({5: [b"ab", b"cd"]}, "test").all_octets(5, 2, 2) == [b"ab", b"cd"]
    with pytest.raises(DecodeError):
        Fields({5: [b"ab", b"c"]}, "test").all_octets(5, 2, 2)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(DecodeError, match="record: field 3 is missing"):
        Fields({}, "record")[3]


@pytest.mark.parametrize("value", [None, 1, [1], "x", b"x", {"x": 1}])
def test_only_a_map_with_integer_keys_has_fields(value: Any) -> None:
    with pytest.raises(DecodeError, match="not a map with integer keys"):
        Fields(value, "test")


@pytest.mark.parametrize("value", [None, 1, [1], [1, 2, 3], {0: 1, 1: 2}, "ab", b"ab"])
def test_only_an_array_of_that_length_has_positions(value: Any) -> None:
    with pytest.raises(DecodeError, match="not an array of 2"):
        Fields.of_array(value, 2, "test")


def test_fields_above_a_key_are_those_of_later_versions() -> None:
    assert Fields({-1: 0, 3: 1, 4: 2}, "test").above(3) == {4: 2}


def test_a_negative_key_is_critical() -> None:
    Fields({0: 1}, "test").refuse_critical()
    with pytest.raises(DecodeError, match="critical"):
        Fields({-1: 1}, "test").refuse_critical()
