from typing import Any

import cbor2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shadowmesh.wire import cbor
from shadowmesh.wire.errors import DecodeError, NotCanonical

_NUMBERS = st.integers(-(2**64), 2**64 - 1)
_LEAVES = st.none() | st.booleans() | _NUMBERS | st.binary(max_size=300) | st.text(max_size=80)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_NUMBERS | st.text(max_size=40), inner, max_size=5),
    max_leaves=20,
)


@given(_VALUES)
def test_what_is_encoded_comes_back(value: Any) -> None:
    assert decode(cbor.encode(value)) == value


@given(_VALUES)
def test_another_implementation_reads_the_same(value: Any) -> None:
    assert cbor2.loads(cbor.encode(value)) == value


@given(_VALUES)
def test_another_implementation_writes_heads_and_strings_the_same(value: Any) -> None:
    # Its "canonical" form orders map keys by RFC 7049; without maps of two keys there is no difference.
    if not has_map_of_several_keys(value):
        assert cbor2.dumps(value, canonical=True) == cbor.encode(value)


@given(st.binary(max_size=60))
def test_what_is_decoded_encodes_to_the_same_bytes(data: bytes) -> None:
    try:
        value = decode(data)
    except DecodeError:
        return
    assert cbor.encode(value) == data


@settings(max_examples=500)
@given(_VALUES, st.data())
def test_a_changed_byte_is_refused_or_means_something_else(value: Any, data: st.DataObject) -> None:
    encoded = bytearray(cbor.encode(value))
    position = data.draw(st.integers(0, len(encoded) - 1))
    encoded[position] ^= data.draw(st.integers(1, 255))
    try:
        changed = decode(bytes(encoded))
    except DecodeError:
        return
    assert cbor.encode(changed) == encoded != cbor.encode(value)


@given(_VALUES)
def test_every_truncation_is_refused(value: Any) -> None:
    encoded = cbor.encode(value)
    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            decode(encoded[:length])


@given(_VALUES)
@example(value=0)
def test_a_byte_behind_the_item_is_refused(value: Any) -> None:
    with pytest.raises(DecodeError, match="1 bytes too many"):
        decode(cbor.encode(value) + b"\0")


def test_map_keys_are_ordered_by_their_bytes_and_not_by_their_length() -> None:
    # RFC 8949 §4.2.1 puts 100 (0x1864) before -1 (0x20); RFC 7049 did the opposite.
    assert cbor.encode({-1: 0, 100: 0, "b": 0, "aa": 0}).hex() == "a41864002000616200626161" + "00"


# Appendix A of RFC 8949, as far as we have the type.
@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1903e8", 1000),
        ("1a000f4240", 1_000_000),
        ("1b000000e8d4a51000", 1_000_000_000_000),
        ("1bffffffffffffffff", 2**64 - 1),
        ("3bffffffffffffffff", -(2**64)),
        ("20", -1),
        ("3903e7", -1000),
        ("f4", False),
        ("f5", True),
        ("f6", None),
        ("40", b""),
        ("4401020304", b"\1\2\3\4"),
        ("60", ""),
        ("62c3bc", "\u00fc"),
        ("64f0908591", "\U00010151"),
        ("80", []),
        ("8301820203820405", [1, [2, 3], [4, 5]]),
        ("a0", {}),
        ("a201020304", {1: 2, 3: 4}),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
    ],
)
def test_the_examples_of_the_rfc_hold_both_ways(encoded: str, value: Any) -> None:
    assert cbor.encode(value).hex() == encoded
    assert decode(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize(
    ("encoded", "what"),
    [
        ("1817", "23 in two bytes"),
        ("1900ff", "255 in three bytes"),
        ("1a0000ffff", "65,535 in five bytes"),
        ("1b00000000ffffffff", "2^32 - 1 in nine bytes"),
        ("3800", "-1 in two bytes"),
        ("580100", "a length in two bytes"),
        ("7801" + "61", "a length of text in two bytes"),
        ("9801" + "00", "a count in two bytes"),
        ("b80100" + "00", "a count of pairs in two bytes"),
        ("9f01ff", "an array without length"),
        ("bf0102ff", "a map without length"),
        ("5f4101ff", "bytes in pieces"),
        ("7f6161ff", "text in pieces"),
        ("a201000000", "keys in the wrong order"),
        ("a22000186400", "keys in the order of RFC 7049"),
        ("a2616200616100", "texts in the wrong order"),
        ("a2616100" + "0000", "a text before a number"),
    ],
)
def test_well_formed_but_not_canonical_is_said_so(encoded: str, what: str) -> None:
    with pytest.raises(NotCanonical):
        decode(bytes.fromhex(encoded))


@pytest.mark.parametrize(
    ("encoded", "what"),
    [
        ("", "nothing"),
        ("f7", "undefined"),
        ("e0", "simple value 0"),
        ("f3", "simple value 19"),
        ("f814", "false in two bytes"),
        ("f820", "simple value 32"),
        ("f93c00", "a half float"),
        ("fa47c35000", "a single float"),
        ("fb3ff199999999999a", "a double float"),
        ("f97e00", "not a number"),
        ("f90014", "a float whose bits are those of false"),
        ("ff", "a break"),
        ("c11a514b67b0", "tag 1: a time"),
        ("c074323031332d30332d32315432303a30343a30305a", "tag 0: a time in text"),
        ("c249010000000000000000", "tag 2: a bignum"),
        ("c349010000000000000000", "tag 3: a negative bignum"),
        ("c48221196ab3", "tag 4: a decimal fraction"),
        ("c5822003", "tag 5: a bigfloat"),
        ("d81c80", "tag 28: a shared value"),
        ("d81c81d81d00", "tags 28 and 29: an array that holds itself"),
        ("d81e820102", "tag 30: a rational"),
        ("d8236161", "tag 35: a regular expression"),
        ("d8246161", "tag 36: a MIME message"),
        ("d9010280", "tag 258: a set"),
        ("d9d9f700", "tag 55799: CBOR"),
        ("1c", "a reserved head"),
        ("3d", "a reserved head of a negative number"),
        ("1f", "a number without length"),
        ("3f", "a negative number without length"),
        ("a201000100", "a key twice"),
        ("a1f500", "true as a key"),
        ("a1f600", "null as a key"),
        ("a14000", "bytes as a key"),
        ("a18000", "an array as a key"),
        ("a1a000", "a map as a key"),
        ("61ff", "text that is not UTF-8"),
        ("63eda080", "a surrogate in text"),
        ("62c080", "UTF-8 that is longer than it need be"),
        ("9bffffffffffffffff", "an array of 2^64 - 1 items"),
        ("bbffffffffffffffff", "a map of 2^64 - 1 pairs"),
        ("5bffffffffffffffff", "2^64 - 1 bytes"),
    ],
)
def test_any_other_type_and_malformed_input_is_refused(encoded: str, what: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode(bytes.fromhex(encoded))
    assert not isinstance(refused.value, NotCanonical)


def test_eight_levels_of_nesting_are_allowed_and_nine_are_not() -> None:
    decode(b"\x81" * 7 + b"\x80")
    with pytest.raises(DecodeError, match="nested"):
        decode(b"\x81" * 8 + b"\x80")


def test_a_long_chain_of_opened_arrays_is_refused_at_the_limit() -> None:
    with pytest.raises(DecodeError, match="nested"):
        decode(b"\x81" * 5000)


def test_longer_input_than_allowed_is_refused() -> None:
    with pytest.raises(DecodeError, match="at most 3 allowed"):
        cbor.decode(b"\x83\0\0\0", max_bytes=3, what="test")


def test_the_number_of_items_is_bounded() -> None:
    cbor.decode(b"\x83\0\0\0", max_bytes=10, what="test", max_items=4)
    with pytest.raises(DecodeError, match="too many items"):
        cbor.decode(b"\x83\0\0\0", max_bytes=10, what="test", max_items=3)


def test_keys_count_as_items() -> None:
    with pytest.raises(DecodeError, match="too many items"):
        cbor.decode(b"\xa1\0\0", max_bytes=10, what="test", max_items=2)


@pytest.mark.parametrize("value", [1.0, {1}, object(), bytearray(b"x"), {b"x": 1}, {True: 1}, {None: 1}, [{(): 1}]])
def test_our_own_code_cannot_encode_another_type(value: Any) -> None:
    with pytest.raises(TypeError):
        cbor.encode(value)


@pytest.mark.parametrize("value", [2**64, -(2**64) - 1])
def test_our_own_code_cannot_encode_a_longer_integer(value: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        cbor.encode(value)


def test_a_tuple_is_encoded_as_an_array() -> None:
    assert cbor.encode((1, 2)) == cbor.encode([1, 2])


def decode(data: bytes) -> Any:
    return cbor.decode(data, max_bytes=100_000, what="test")


def has_map_of_several_keys(value: Any) -> bool:
    if isinstance(value, dict):
        return len(value) > 1 or any(has_map_of_several_keys(item) for item in value.values())
    return isinstance(value, list) and any(has_map_of_several_keys(item) for item in value)
