"""One session's probes: what is outstanding, when the next is due, when the peer counts as gone."""

from __future__ import annotations

from dataclasses import dataclass, field

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.path_choice import PathChoice
from shadowmesh.paths.probe_datagram import ProbeKeys
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy, jitter

KEEPALIVE_S = (24.0, 26.0)  # many NATs forget a mapping after 30 s (RFC 4787 §4.3 asks for 120 s and is not obeyed)
# Three rounds a second apart. The later rounds repeat: at 20 % loss each way three single probes all fail once in 21
# rounds, six once in 460, and a pair must not fall apart every ten minutes on a bad radio link.
PROBE_OFFSETS_S = (0.0, 1.0, 1.2, 2.0, 2.2, 2.4)
LOST_AFTER_S = 3.4
_OFFSETS_S = (*PROBE_OFFSETS_S, LOST_AFTER_S)
PING_TIMEOUT_S = 2.0
MAX_OUTSTANDING = 64  # 21 probes of a round on four paths, 16 of two evaluations, 16 pings, and some that validate
MAX_ALTERNATES = 7  # with the path itself as many as a call brings
MAX_SILENT_ALTERNATES = 3  # of them are tried when the path falls silent
_REPLAY_WINDOW = 16  # probes of one peer that may overtake each other


@dataclass(frozen=True, slots=True)
class Outstanding:
    sent_at: float
    destination: Endpoint
    sequence: int | None = None  # of a ping


class ReplayWindow:
    """Remembers the highest 16 values of `sent_at` that were accepted."""

    def __init__(self) -> None:
        self._accepted: list[int] = []

    def accept(self, value: int) -> bool:
        if value in self._accepted:
            return False
        if len(self._accepted) == _REPLAY_WINDOW:
            if value < self._accepted[0]:
                return False
            del self._accepted[0]
        self._accepted = sorted([*self._accepted, value])
        return True


@dataclass(slots=True)
class ProbedSession:
    peer: PeerID
    keys: ProbeKeys
    path: Endpoint
    choice: PathChoice
    alternates: tuple[Endpoint, ...] = ()  # compared with the path, and tried when it falls silent
    round_started_at: float = 0.0
    round_index: int = 0  # into PROBE_OFFSETS_S
    outstanding: dict[bytes, Outstanding] = field(default_factory=dict)
    window: ReplayWindow = field(default_factory=ReplayWindow)
    peer_source: Endpoint | None = None  # where its last probe came from
    last_sent_us: int = 0
    rtt_s: float | None = None
    probed_at: float | None = None

    @property
    def silent(self) -> bool:
        """A probe of the present round is out and nothing has come back."""
        return self.round_index > 0

    @property
    def due_at(self) -> float:
        """When the next probe is due or, after the last one of a round, the peer is lost."""
        return self.round_started_at + _OFFSETS_S[self.round_index]

    def begin_round(self, at: float) -> None:
        self.round_started_at = at
        self.round_index = 0

    def heard(self, now: float, entropy: Entropy) -> None:
        """The peer lives: the next round is a keepalive interval away.

        Both sides draw their own interval; the shorter one probes and thereby delays the other.
        """
        self.begin_round(now + jitter(entropy, *KEEPALIVE_S))

    def stamp(self, now: float) -> int:
        """`sent_at` for a new probe: rises even when the clock has not."""
        self.last_sent_us = max(self.last_sent_us + 1, int(now * 1_000_000))
        return self.last_sent_us

    def next_timeout(self) -> float:
        """When a probe is due, a ping has failed, or the peer is lost."""
        pings = [entry.sent_at + PING_TIMEOUT_S for entry in self.outstanding.values() if entry.sequence is not None]
        evaluation_at = self.choice.due_at
        return min([self.due_at, *pings, *([] if evaluation_at is None else [evaluation_at])])
