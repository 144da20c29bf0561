"""Changes an input a little, by chance that a seed gives."""

from collections.abc import Callable, Sequence
from random import Random

_MAX_BYTES = 65536
_TELLING = (0x00, 0x01, 0x14, 0x15, 0x16, 0x17, 0x18, 0x1B, 0x1F, 0x20, 0x3B, 0x5B, 0x7F, 0x80, 0x9F, 0xA0, 0xBB, 0xFF)
_SNIPPETS = tuple(
    bytes.fromhex(snippet)
    for snippet in (
        "d8236161",  # a regular expression
        "c249010000000000000000",  # a bignum
        "d81c81d81d00",  # an array that holds itself
        "fb7ff8000000000000",  # not a number
        "1bffffffffffffffff",
        "3bffffffffffffffff",
        "9bffffffffffffffff",
        "5bffffffffffffffff",
        "f5",
        "f6",
        "7b226b696e64223a",  # {"kind":
        "5b5b5b5b5b5b5b5b",  # [[[[[[[[
        "5c7564383030",  # \ud800
        "c3a9",
        "e284aa",  # the Kelvin sign
    )
)


def mutate(data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    """One to four changes, now and then nothing but noise."""
    if chance.random() < 0.02:
        return chance.randbytes(chance.randrange(400))
    for _ in range(chance.choice((1, 1, 2, 4))):
        splices = chance.random() < 0.15
        data = _splice(data, others, chance) if splices else chance.choice(_CHANGES)(data, chance)
    return data[:_MAX_BYTES]


def _flip_a_bit(data: bytes, chance: Random) -> bytes:
    changed = bytearray(data or b"\0")
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _set_a_byte(data: bytes, chance: Random) -> bytes:
    position = _place(data, chance)
    return data[:position] + bytes((chance.choice(_TELLING),)) + data[position + 1 :]


def _cut(data: bytes, chance: Random) -> bytes:
    start = _place(data, chance)
    return data[:start] + data[start + chance.randrange(1, 40) :]


def _truncate(data: bytes, chance: Random) -> bytes:
    return data[: _place(data, chance)]


def _insert(data: bytes, chance: Random) -> bytes:
    position = _place(data, chance)
    return data[:position] + chance.choice((*_SNIPPETS, chance.randbytes(chance.randrange(1, 20)))) + data[position:]


def _repeat(data: bytes, chance: Random) -> bytes:
    start = _place(data, chance)
    piece = data[start : start + chance.randrange(1, 40)]
    return data[:start] + piece * chance.choice((2, 3, 17, 300)) + data[start + len(piece) :]


def _splice(data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    other = chance.choice(others)
    return data[: _place(data, chance)] + other[_place(other, chance) :]


def _place(data: bytes, chance: Random) -> int:
    """Half of the time near the front, where heads and small fields are."""
    limit = len(data) + 1
    return chance.randrange(min(limit, 64)) if chance.random() < 0.5 else chance.randrange(limit)


_CHANGES: tuple[Callable[[bytes, Random], bytes], ...] = (
    _flip_a_bit,
    _set_a_byte,
    _cut,
    _truncate,
    _insert,
    _repeat,
)
