"""Bounded reading of fixed-layout messages."""

from shadowmesh.wire.errors import DecodeError


class Reader:
    """Takes fields off the front of a message. Every method raises DecodeError when too little is left."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self._offset = 0

    def take(self, count: int) -> bytes:
        end = self._offset + count
        if end > len(self._data):
            raise DecodeError(f"{self._what}: {len(self._data)} bytes, want at least {end}")
        field = self._data[self._offset : end]
        self._offset = end
        return field

    def uint(self, count: int) -> int:
        """A big-endian unsigned integer of `count` bytes."""
        return int.from_bytes(self.take(count), "big")

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._offset)

    def finish(self) -> None:
        if self._offset != len(self._data):
            raise DecodeError(f"{self._what}: {len(self._data) - self._offset} bytes too many")
