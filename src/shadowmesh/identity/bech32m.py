"""bech32m (BIP-350): text whose checksum catches any four wrong characters."""

from shadowmesh.wire.errors import DecodeError

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUE = {character: value for value, character in enumerate(_ALPHABET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32M = 0x2BC830A3
_CHECKSUM_LENGTH = 6
_MAX_LENGTH = 90


def encode(prefix: str, data: bytes) -> str:
    """`prefix`, the separator `1`, the data in base 32 and six checksum characters, in lower case."""
    values = _regroup(data, 8, 5, pad=True)
    checksum = _polymod(_expand(prefix) + values + [0] * _CHECKSUM_LENGTH) ^ _BECH32M
    values += [(checksum >> 5 * (5 - position)) & 31 for position in range(_CHECKSUM_LENGTH)]
    return prefix + "1" + "".join(_ALPHABET[value] for value in values)


def decode(prefix: str, text: str) -> bytes:
    """All lower or all upper case. Raises DecodeError, which says whether the prefix or the spelling is wrong."""
    if len(text) > _MAX_LENGTH or len(text) < len(prefix) + 1 + _CHECKSUM_LENGTH:
        raise DecodeError("has the wrong length")
    if not text.isascii():  # beyond ASCII there are letters whose lower case is an ASCII letter
        raise DecodeError("has a character that is never used")
    if text.lower() != text and text.upper() != text:
        raise DecodeError("mixes upper and lower case")
    text = text.lower()
    if not text.startswith(prefix + "1"):
        raise DecodeError(f"does not begin with {prefix}1")
    try:
        values = [_VALUE[character] for character in text[len(prefix) + 1 :]]
    except KeyError as error:
        raise DecodeError(f"has the character {error.args[0]!r}, which is never used") from None
    if _polymod(_expand(prefix) + values) != _BECH32M:
        raise DecodeError("has a wrong checksum: it is mistyped or incomplete")
    return bytes(_regroup(values[:-_CHECKSUM_LENGTH], 5, 8, pad=False))


def _expand(prefix: str) -> list[int]:
    return [ord(character) >> 5 for character in prefix] + [0] + [ord(character) & 31 for character in prefix]


def _polymod(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for position, generator in enumerate(_GENERATOR):
            if top >> position & 1:
                checksum ^= generator
    return checksum


def _regroup(values: bytes | list[int], width_in: int, width_out: int, *, pad: bool) -> list[int]:
    accumulator = bits = 0
    groups = []
    for value in values:
        accumulator = accumulator << width_in | value
        bits += width_in
        while bits >= width_out:
            bits -= width_out
            groups.append(accumulator >> bits & (1 << width_out) - 1)
    leftover = accumulator & (1 << bits) - 1
    if pad and bits:
        groups.append(leftover << width_out - bits)
    elif not pad and (bits >= width_in or leftover):
        raise DecodeError("has bits left over")
    return groups
