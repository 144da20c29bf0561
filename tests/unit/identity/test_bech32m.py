import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.identity import bech32m
from shadowmesh.wire.errors import DecodeError

_DATA = st.binary(max_size=40)


@given(_DATA)
def test_data_comes_back(data: bytes) -> None:
    assert bech32m.decode("sm", bech32m.encode("sm", data)) == data


@given(_DATA)
def test_upper_case_is_the_same_text(data: bytes) -> None:
    assert bech32m.decode("sm", bech32m.encode("sm", data).upper()) == data


# BIP-350, "Test vectors for Bech32m", whose data is whole bytes.
@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("A1LQFN3A", "a"),
        ("a1lqfn3a", "a"),
        (
            "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
            "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber1",
        ),
        ("abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx", "abcdef"),
        ("split1checkupstagehandshakeupstreamerranterredcaperredlc445v", "split"),
        ("?1v759aa", "?"),
    ],
)
def test_the_valid_strings_of_bip_350_are_read_and_written(text: str, prefix: str) -> None:
    assert bech32m.encode(prefix, bech32m.decode(prefix, text)) == text.lower()


def test_the_valid_string_of_bip_350_that_is_not_whole_bytes_has_a_good_checksum() -> None:
    with pytest.raises(DecodeError, match="bits left over"):
        bech32m.decode("1", "11" + 83 * "l" + "udsr8")


@pytest.mark.parametrize(
    "text",
    [
        "\x201xj0phk",
        "\x7f1g6xzxy",
        "\x801vctc34",
        "an84characterslonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11d6pts4",
        "qyrz8wqd2c9m",
        "1qyrz8wqd2c9m",
        "y1b0jsk6g",
        "lt1igcx5c0",
        "in1muywd",
        "mm1crxm3i",
        "au1s5cgom",
        "M1VUXWEZ",
        "16plkw9",
        "1p2gdwpf",
    ],
)
def test_the_invalid_strings_of_bip_350_are_refused(text: str) -> None:
    for prefix in {"sm", text.lower().rpartition("1")[0] or "sm"}:
        if prefix.isprintable() and prefix.isascii() and prefix.strip():
            with pytest.raises(DecodeError):
                bech32m.decode(prefix, text)


def test_the_older_checksum_of_bip_173_is_refused() -> None:
    with pytest.raises(DecodeError, match="checksum"):
        bech32m.decode("a", "a12uel5l")


@given(_DATA, st.data())
def test_up_to_four_wrong_characters_are_noticed(data: bytes, draw: st.DataObject) -> None:
    text = bech32m.encode("sm", data)
    mistyped = list(text)
    positions = st.lists(st.integers(3, len(text) - 1), min_size=1, max_size=4, unique=True)
    for position in draw.draw(positions):
        others = "qpzry9x8gf2tvdw0s3jn54khce6mua7l".replace(text[position], "")
        mistyped[position] = draw.draw(st.sampled_from(others))
    with pytest.raises(DecodeError, match="checksum"):
        bech32m.decode("sm", "".join(mistyped))


@given(_DATA)
def test_every_truncation_is_refused(data: bytes) -> None:
    text = bech32m.encode("sm", data)
    for length in range(len(text)):
        with pytest.raises(DecodeError):
            bech32m.decode("sm", text[:length])


@given(st.text(max_size=100) | st.from_regex(r"sm1[02-9ac-hj-np-z]{6,80}", fullmatch=True))
def test_any_text_is_data_or_refused(text: str) -> None:
    try:
        data = bech32m.decode("sm", text)
    except DecodeError:
        return
    assert bech32m.encode("sm", data) == text.lower()


def test_mixed_case_is_refused() -> None:
    text = bech32m.encode("sm", b"x" * 20)
    with pytest.raises(DecodeError, match="mixes"):
        bech32m.decode("sm", text[:10] + text[10:].upper())


def test_a_letter_whose_lower_case_is_ascii_is_not_that_letter() -> None:
    text = bech32m.encode("sm", bytes(range(20, 52))).upper()
    assert "K" in text
    with pytest.raises(DecodeError, match="never used"):
        bech32m.decode("sm", text.replace("K", "\N{KELVIN SIGN}"))


def test_bits_left_over_that_are_not_zero_are_refused() -> None:
    with pytest.raises(DecodeError, match="bits left over"):
        bech32m.decode("sm", with_checksum("sm", [0, 1]))


def test_a_whole_character_left_over_is_refused() -> None:
    with pytest.raises(DecodeError, match="bits left over"):
        bech32m.decode("sm", with_checksum("sm", [0]))


def test_another_prefix_is_named() -> None:
    with pytest.raises(DecodeError, match="does not begin with sm1"):
        bech32m.decode("sm", bech32m.encode("bc", b"x" * 20))


def test_a_very_long_text_is_refused_at_once() -> None:
    with pytest.raises(DecodeError, match="length"):
        bech32m.decode("sm", "sm1" + "q" * 1_000_000)


def with_checksum(prefix: str, values: list[int]) -> str:
    """BIP-350's reference code, for values that no byte string gives."""
    generator = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    expanded = [ord(x) >> 5 for x in prefix] + [0] + [ord(x) & 31 for x in prefix]
    polymod = 1
    for value in expanded + values + [0] * 6:
        top = polymod >> 25
        polymod = (polymod & 0x1FFFFFF) << 5 ^ value
        for i in range(5):
            polymod ^= generator[i] if (top >> i) & 1 else 0
    polymod ^= 0x2BC830A3
    checksum = [(polymod >> 5 * (5 - i)) & 31 for i in range(6)]
    return prefix + "1" + "".join(alphabet[value] for value in values + checksum)
