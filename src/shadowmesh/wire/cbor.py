"""Deterministic CBOR (RFC 8949 §4.2.1), the only form we make or take.

The types are integers of 64 bits, bytes, text, arrays, maps with integer or text keys, booleans and null. There are no
floats and no tags. The decoder is our own so that nothing else is ever built from untrusted bytes: a general one acts
on a tag before its caller can refuse it, and a regular expression of 10 KB (tag 35) takes seconds to compile.
"""

from typing import Any

from shadowmesh.wire.errors import DecodeError, NotCanonical

_MAX_DEPTH = 8
_MAX_ITEMS = 1024  # the largest directory has 594; decoding this many takes 0.3 ms
_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_SIMPLE_VALUES = {20: False, 21: True, 22: None}
_LONGER = ((24, 1), (2**8, 2), (2**16, 4), (2**32, 8))  # arguments from this on take that many bytes


def encode(value: Any) -> bytes:
    """Raises TypeError for any other type, ValueError for an integer of more than 64 bits."""
    encoded = bytearray()
    _append(encoded, value)
    return bytes(encoded)


def decode(data: bytes, *, max_bytes: int, what: str, max_items: int = _MAX_ITEMS) -> Any:
    """Raises DecodeError for longer input, another type, or not just one item; NotCanonical for another form.

    `max_items` counts arrays, maps, keys and values: it bounds the time and the memory.
    """
    if len(data) > max_bytes:
        raise DecodeError(f"{what}: {len(data)} bytes, at most {max_bytes} allowed")
    decoder = _Decoder(data, what, max_items)
    value = decoder.item(0)
    decoder.finish()
    return value


def _append(encoded: bytearray, value: Any) -> None:
    match value:
        case None | True | False:  # before int, of which bool is a subclass; matched by identity
            encoded += b"\xf6" if value is None else b"\xf5" if value else b"\xf4"
        case int():
            encoded += _head(_UINT, value) if value >= 0 else _head(_NEGATIVE, -1 - value)
        case bytes():
            encoded += _head(_BYTES, len(value)) + value
        case str():
            text = value.encode()
            encoded += _head(_TEXT, len(text)) + text
        case list() | tuple():
            encoded += _head(_ARRAY, len(value))
            for item in value:
                _append(encoded, item)
        case dict():
            encoded += _head(_MAP, len(value))
            for key, item in sorted(((_key(key), item) for key, item in value.items()), key=lambda pair: pair[0]):
                encoded += key
                _append(encoded, item)
        case _:
            raise TypeError(f"CBOR: there is no form for {type(value).__name__}")


def _key(key: Any) -> bytes:
    if not isinstance(key, int | str) or isinstance(key, bool):
        raise TypeError("CBOR: a map's keys are integers or texts")
    return encode(key)


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes((major << 5 | argument,))
    for position, (_, width) in enumerate(_LONGER):
        if argument < 256**width:
            return bytes((major << 5 | 24 + position,)) + argument.to_bytes(width, "big")
    raise ValueError("CBOR: an integer of more than 64 bits")


class _Decoder:
    def __init__(self, data: bytes, what: str, max_items: int) -> None:
        self._data = data
        self._what = what
        self._items_left = max_items
        self._offset = 0

    def item(self, depth: int) -> Any:
        if self._items_left == 0:
            raise self._error("too many items")
        self._items_left -= 1
        major, argument = self._read_head()
        if major == _UINT:
            return argument
        if major == _NEGATIVE:
            return -1 - argument
        if major == _BYTES:
            return self._take(argument)
        if major == _TEXT:
            return self._text(argument)
        if major == _SIMPLE:
            return _SIMPLE_VALUES[argument]
        if depth == _MAX_DEPTH:
            raise self._error(f"nested more than {_MAX_DEPTH} deep")
        return [self.item(depth + 1) for _ in range(argument)] if major == _ARRAY else self._map(argument, depth + 1)

    def finish(self) -> None:
        if self._offset != len(self._data):
            raise self._error(f"{len(self._data) - self._offset} bytes too many")

    def _map(self, count: int, depth: int) -> dict[int | str, Any]:
        fields: dict[int | str, Any] = {}
        previous = b""
        for _ in range(count):
            start = self._offset
            key = self.item(depth)
            if type(key) is not int and type(key) is not str:
                raise self._error("a map key that is neither integer nor text")
            encoded = self._data[start : self._offset]
            if key in fields:
                raise self._error("a map key twice")
            if encoded < previous:
                raise self._not_canonical("map keys out of order")
            previous = encoded
            fields[key] = self.item(depth)
        return fields

    def _text(self, length: int) -> str:
        try:
            return self._take(length).decode()
        except UnicodeDecodeError:
            raise self._error("text that is not UTF-8") from None

    def _read_head(self) -> tuple[int, int]:
        first = self._take(1)[0]
        major, argument = first >> 5, first & 31
        if major == _TAG or (major == _SIMPLE and argument not in _SIMPLE_VALUES):
            raise self._error("a tag, a float or an unknown simple value")
        if argument < 24:
            return major, argument
        if argument == 31 and major not in (_UINT, _NEGATIVE):
            raise self._not_canonical("an indefinite length")
        if argument > 27:
            raise self._error("a reserved head")
        lowest, width = _LONGER[argument - 24]
        argument = int.from_bytes(self._take(width), "big")
        if argument < lowest:
            raise self._not_canonical("a head that is longer than it need be")
        return major, argument

    def _take(self, count: int) -> bytes:
        end = self._offset + count
        if end > len(self._data):
            raise self._error("cut short")
        taken = self._data[self._offset : end]
        self._offset = end
        return taken

    def _error(self, rule: str) -> DecodeError:
        return DecodeError(f"{self._what}: {rule}")

    def _not_canonical(self, rule: str) -> NotCanonical:
        return NotCanonical(f"{self._what}: {rule}")
