"""Strict reading of decoded CBOR: a field is there, of its type and within its bounds, or the message is not legal."""

from __future__ import annotations

from typing import Any

from shadowmesh.wire.errors import DecodeError


class Fields:
    """A map with integer keys, or an array by position. Every method raises DecodeError, and True is no number."""

    def __init__(self, value: Any, what: str) -> None:
        if not isinstance(value, dict) or any(type(key) is not int for key in value):
            raise DecodeError(f"{what}: not a map with integer keys")
        self._fields: dict[int, Any] = value
        self._what = what

    @classmethod
    def of_array(cls, value: Any, length: int, what: str) -> Fields:
        if not isinstance(value, list) or len(value) != length:
            raise DecodeError(f"{what}: not an array of {length}")
        return cls(dict(enumerate(value)), what)

    def __contains__(self, key: int) -> bool:
        return key in self._fields

    def __getitem__(self, key: int) -> Any:
        if key not in self._fields:
            raise DecodeError(f"{self._what}: field {key} is missing")
        return self._fields[key]

    def uint(self, key: int, highest: int, *, lowest: int = 0) -> int:
        value = self[key]
        if type(value) is not int or not lowest <= value <= highest:
            raise DecodeError(f"{self._what}: field {key} is not a number from {lowest} to {highest}")
        return value

    def uints(self, key: int, count: int, highest: int) -> list[int]:
        numbers = Fields.of_array(self[key], count, f"{self._what}: field {key}")
        return [numbers.uint(position, highest) for position in range(count)]

    def boolean(self, key: int) -> bool:
        value = self[key]
        if not isinstance(value, bool):
            raise DecodeError(f"{self._what}: field {key} is neither true nor false")
        return value

    def octets(self, key: int, length: int) -> bytes:
        value = self[key]
        if not isinstance(value, bytes) or len(value) != length:
            raise DecodeError(f"{self._what}: field {key} is not {length} bytes")
        return value

    def items(self, key: int, most: int) -> list[Any]:
        """1 to `most` items, or none when the field is left out: an empty array is not legal."""
        if key not in self._fields:
            return []
        value = self._fields[key]
        if not isinstance(value, list) or not 0 < len(value) <= most:
            raise DecodeError(f"{self._what}: field {key} is not an array of 1 to {most}")
        return value

    def all_octets(self, key: int, length: int, most: int) -> list[bytes]:
        """As `items`, each of them `length` bytes."""
        values = self.items(key, most)
        array = Fields.of_array(values, len(values), f"{self._what}: field {key}")
        return [array.octets(position, length) for position in range(len(values))]

    def above(self, key: int) -> dict[int, Any]:
        """The fields whose keys are higher: what later versions have added."""
        return {other: value for other, value in self._fields.items() if other > key}

    def refuse_critical(self) -> None:
        """A negative key is one that its reader must know; this version knows none."""
        if any(key < 0 for key in self._fields):
            raise DecodeError(f"{self._what}: a critical field (negative key) that this version does not know")
