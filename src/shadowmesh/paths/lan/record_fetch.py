"""One record on its way from an announcer: which chunks are there, which to ask for. Spec: docs/spec/lan.md."""

from __future__ import annotations

from dataclasses import dataclass, field

from shadowmesh.identity.names import Fingerprint
from shadowmesh.paths.lan.pair_secret import PairSecret
from shadowmesh.paths.lan.record_transfer import RecordChunk
from shadowmesh.wire.endpoint import Endpoint

# The first chunk tells how many there are; what a busy radio loses is asked for again.
REQUEST_OFFSETS_S = (0.0, 0.2, 0.5, 1.0, 2.0)
GIVE_UP_AFTER_S = 3.0


@dataclass(slots=True)
class RecordFetch:
    peer: Fingerprint
    secret: PairSecret
    source: Endpoint
    began_at: float
    rounds: int = 0
    first: RecordChunk | None = None  # chunks of another record than this one's are ignored
    chunks: dict[int, bytes] = field(default_factory=dict)

    @property
    def missing(self) -> list[int]:
        count = 1 if self.first is None else self.first.count
        return [index for index in range(count) if index not in self.chunks]

    @property
    def record(self) -> bytes | None:
        """None while something is missing."""
        return None if self.missing else b"".join(self.chunks[index] for index in range(len(self.chunks)))

    @property
    def due_at(self) -> float:
        """When the next requests leave, or it is given up."""
        return self.began_at + (*REQUEST_OFFSETS_S, GIVE_UP_AFTER_S)[self.rounds]

    @property
    def is_hopeless(self) -> bool:
        return self.rounds == len(REQUEST_OFFSETS_S)

    def add(self, chunk: RecordChunk) -> bool:
        """Whether it was the first one, so that the others can be asked for now."""
        is_first = self.first is None
        if self.first is None:
            self.first = chunk
        if (chunk.record_prefix, chunk.count) == (self.first.record_prefix, self.first.count):
            self.chunks[chunk.index] = chunk.data
        return is_first
