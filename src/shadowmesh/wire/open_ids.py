"""The ids of control datagrams that this node expects; its engine drops all others. Spec: docs/spec/datagrams.md, 5."""

from __future__ import annotations

from collections import Counter, UserDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

ID_BYTES = 8
CONTROL_ID = slice(4, 4 + ID_BYTES)  # where it stands in a datagram of ours
STUN_ID = slice(8, 8 + ID_BYTES)  # the begin of the transaction id

Expected = TypeVar("Expected")


@dataclass(frozen=True, slots=True)
class OpenId:
    """From now on a datagram with this id is handed up."""

    id: bytes


@dataclass(frozen=True, slots=True)
class CloseId:
    id: bytes


IdChange = OpenId | CloseId


def _nobody(_: IdChange) -> None:
    pass


class OpenIds:
    """Counted: an id that the other side chose may be open already."""

    def __init__(self, changed: Callable[[IdChange], None] = _nobody) -> None:
        self._changed = changed
        self._counts: Counter[bytes] = Counter()

    def open(self, id_: bytes) -> None:
        """8 bytes."""
        self._counts[id_] += 1
        if self._counts[id_] == 1:
            self._changed(OpenId(id_))

    def close(self, id_: bytes) -> None:
        """Once for each time that it was opened. Raises KeyError for one that is not open."""
        if id_ not in self._counts:
            raise KeyError(id_)
        self._counts[id_] -= 1
        if not self._counts[id_]:
            del self._counts[id_]
            self._changed(CloseId(id_))


class IdTable(UserDict[bytes, Expected]):
    """What is expected under each id: open as long as it stands here."""

    def __init__(self, ids: OpenIds) -> None:
        self._ids = ids
        super().__init__()

    def __setitem__(self, id_: bytes, expected: Expected) -> None:
        if id_ not in self.data:
            self._ids.open(id_)
        self.data[id_] = expected

    def __delitem__(self, id_: bytes) -> None:
        del self.data[id_]
        self._ids.close(id_)
