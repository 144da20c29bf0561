"""Fragments put together again, in bounded memory. Spec: docs/spec/session.md, section 3.

A forged fragment beside a genuine one costs a few hashes and spoils nothing: up to two variants of each are kept,
and a message is complete when one combination of them has the hash that its message id promises.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable
from dataclasses import dataclass, field

from shadowmesh.session.fragments import Flight, Fragment, MissingRequest, message_id
from shadowmesh.session.limits import (
    MAX_COMBINATIONS,
    MAX_REPAIR_REQUESTS,
    MAX_VARIANTS,
    REASSEMBLY_S,
    REPAIR_RETRY_S,
    SILENCE_S,
)
from shadowmesh.wire.endpoint import Endpoint


@dataclass(slots=True)
class _Buffer:
    flight: Flight
    source: Endpoint
    group: Hashable
    expires_at: float
    variants: dict[int, list[bytes]] = field(default_factory=dict)
    ask_at: float = math.inf
    asked: int = 0

    @property
    def missing(self) -> tuple[int, ...]:
        return tuple(index for index in range(self.flight.total) if index not in self.variants)

    @property
    def is_hopeless(self) -> bool:
        """No place for another variant, and more combinations than are tried."""
        counts = [len(variants) for variants in self.variants.values()]
        return min(counts) == MAX_VARIANTS and math.prod(counts) > MAX_COMBINATIONS

    def assembled(self) -> bytes | None:
        """Who always loses the race against a forger, or always wins it, is tried first."""
        columns = [self.variants[index] for index in range(self.flight.total)]
        first, last = (tuple(column[place] for column in columns) for place in (0, -1))
        rest = itertools.islice(itertools.product(*columns), MAX_COMBINATIONS)
        for parts in itertools.chain((first, last), rest):
            message = b"".join(parts)
            if message_id(self.flight.message, message) == self.flight.message_id:
                return message
        return None


class Reassembler:
    """Keeps unfinished messages by source and flight. When it is full the oldest goes: first of the same group.

    To evict rather than to refuse lets a genuine flight, which arrives within milliseconds, pass a slow flood.
    """

    def __init__(self, *, max_buffers: int, max_a_group: int, asks: bool) -> None:
        """`asks`: whether `requests` gives requests for what is missing."""
        self._max_buffers = max_buffers
        self._max_a_group = max_a_group
        self._asks = asks
        self._buffers: dict[tuple[Endpoint, Flight], _Buffer] = {}  # oldest first, so in order of expiry
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._buffers)

    @property
    def held_bytes(self) -> int:
        return sum(
            len(variant)
            for buffer in self._buffers.values()
            for variants in buffer.variants.values()
            for variant in variants
        )

    def add(self, fragment: Fragment, source: Endpoint, group: Hashable, now: float) -> bytes | None:
        """The whole message, when this fragment completes it."""
        key = (source, fragment.flight)
        buffer = self._buffers.get(key)
        if buffer is not None and len(buffer.variants.get(fragment.index, ())) == MAX_VARIANTS:
            if fragment.payload in buffer.variants[fragment.index]:
                return None
            del self._buffers[key]  # two forgeries of one fragment: begin again
            buffer = None
        if buffer is None:
            buffer = self._open(fragment.flight, source, group, now)
        variants = buffer.variants.setdefault(fragment.index, [])
        if fragment.payload in variants:
            return None
        variants.append(fragment.payload)
        if buffer.missing:
            if self._asks and buffer.asked < MAX_REPAIR_REQUESTS:
                buffer.ask_at = now + SILENCE_S
            return None
        buffer.ask_at = math.inf
        message = buffer.assembled()
        if message is not None or buffer.is_hopeless:
            del self._buffers[key]
        return message

    def requests(self, now: float) -> list[tuple[MissingRequest, Endpoint]]:
        """What to ask for now, and whom."""
        due = [buffer for buffer in self._buffers.values() if buffer.ask_at <= now]
        for buffer in due:
            buffer.asked += 1
            more = buffer.asked < MAX_REPAIR_REQUESTS
            buffer.ask_at = now + REPAIR_RETRY_S * 2 ** (buffer.asked - 1) if more else math.inf
        return [(MissingRequest(buffer.flight, buffer.missing), buffer.source) for buffer in due]

    def expire(self, now: float) -> None:
        for key in [key for key, buffer in self._buffers.items() if buffer.expires_at <= now]:
            del self._buffers[key]

    def forget(self, cid: bytes) -> None:
        """Drops what was begun for a connection that is over."""
        for key in [key for key in self._buffers if key[1].cid == cid]:
            del self._buffers[key]

    def next_timeout(self) -> float:
        """Infinite when nothing is held."""
        return min((min(buffer.expires_at, buffer.ask_at) for buffer in self._buffers.values()), default=math.inf)

    def _open(self, flight: Flight, source: Endpoint, group: Hashable, now: float) -> _Buffer:
        neighbours = [key for key, buffer in self._buffers.items() if buffer.group == group]
        if len(neighbours) >= self._max_a_group:
            self._evict(neighbours[0])
        elif len(self._buffers) >= self._max_buffers:
            self._evict(next(iter(self._buffers)))
        buffer = _Buffer(flight, source, group, now + REASSEMBLY_S)
        self._buffers[source, flight] = buffer
        return buffer

    def _evict(self, key: tuple[Endpoint, Flight]) -> None:
        del self._buffers[key]
        self.evictions += 1
