"""One session's probes: what is outstanding, when the next is due, when the peer counts as gone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.keepalive import Keepalive
from shadowmesh.paths.path_choice import PathChoice
from shadowmesh.paths.path_width import PathWidth
from shadowmesh.paths.probe_datagram import ProbeKeys
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy

# Once more soon, then each second. At 20 % loss each way three single probes all fail once in 21 rounds, thirteen once
# in 600,000: a pair must not fall apart on a bad radio link. The keys are good for as long as a new path is looked for.
PROBE_OFFSETS_S = (0.0, 0.5, 1.0, 1.2, 2.0, 2.2, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)
LOST_AFTER_S = 10.0  # the longest outage that is repaired without a new session
_OFFSETS_S: tuple[float, ...] = (*PROBE_OFFSETS_S, LOST_AFTER_S)
SILENT_AFTER = 2  # probes without an answer: another path is looked for
SUSPECT_AFTER = 1  # the same, when there was a reason to ask
PING_TIMEOUT_S = 2.0
ANSWER_S = 3.4  # a reply that comes later counts no more
MAX_OUTSTANDING = 64  # 24 probes of 3.4 s on four paths, 16 of two evaluations, 16 pings, and some that validate
MAX_ALTERNATES = 7  # with the path itself as many as a call brings
MAX_SILENT_ALTERNATES = 3  # of them are tried when the path falls silent
FOLLOW_S = 1.0  # after a move: packets in flight are gone, and the peer has followed, over round trips of up to 0.5 s
_REPLAY_WINDOW = 16  # probes of one peer that may overtake each other


@dataclass(frozen=True, slots=True)
class Outstanding:
    sent_at: float
    destination: Endpoint
    via: int | None  # the local port; None: whichever leads there
    sequence: int | None = None  # of a ping
    is_full_size: bool = False


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
    keepalive: Keepalive
    via: int = 0  # the local port that leads to the path's endpoint, 0: the main one
    width: PathWidth = field(default_factory=PathWidth)
    alternates: tuple[Endpoint, ...] = ()  # compared with the path, and tried when it falls silent
    round_started_at: float = 0.0
    round_index: int = 0  # into PROBE_OFFSETS_S
    suspect: bool = False  # there was a reason to begin the round, besides the time
    outstanding: dict[bytes, Outstanding] = field(default_factory=dict)
    window: ReplayWindow = field(default_factory=ReplayWindow)
    peer_source: Endpoint | None = None  # where it was seen last: where its last probe, or packet, came from
    peer_via: int | None = None  # and to which local port; None: it is not known of a packet
    found_via: int | None = None  # another local port from which a punch has reached the path's endpoint
    left: Endpoint | None = None  # the path before this one
    left_at: float = -math.inf
    last_sent_us: int = 0
    rtt_s: float | None = None
    probed_at: float | None = None

    @property
    def silent(self) -> bool:
        """A probe of the present round is out and nothing has come back."""
        return self.round_index > 0

    def is_path(self, endpoint: Endpoint, via: int) -> bool:
        return (endpoint, via) == (self.path, self.via)

    def is_used_by_peer(self, endpoint: Endpoint, via: int) -> bool:
        """Whether the peer itself sends from there to this port of ours."""
        return endpoint == self.peer_source and self.peer_via in (None, via)

    @property
    def due_at(self) -> float:
        """When the next probe is due or, after the last one of a round, the peer is lost."""
        return self.round_started_at + _OFFSETS_S[self.round_index]

    @property
    def misses_path(self) -> bool:
        """So many probes are unanswered that another path is to be looked for, for the first time in this round."""
        return self.round_index == self._silent_after

    @property
    def path_is_silent(self) -> bool:
        """So much is unanswered that another path is being looked for."""
        return self.round_index > self._silent_after

    @property
    def _silent_after(self) -> int:
        return SUSPECT_AFTER if self.suspect else SILENT_AFTER

    def move(self, path: Endpoint, via: int, now: float) -> None:
        """The way that is left stays one of those that are compared, the last to be tried."""
        if path != self.path:
            others = [other for other in self.alternates if other not in (path, self.path)]
            self.alternates = (*others[: MAX_ALTERNATES - 1], self.path)
            self.left, self.left_at = self.path, now
        self.path, self.via, self.found_via = path, via, None
        self.peer_source, self.peer_via = path, via
        self.choice.moved(now)
        self.keepalive.moved(now)
        self.width.restart(path, now)

    def is_late(self, source: Endpoint, now: float) -> bool:
        """Whether what comes from there tells of the time before our move: it was sent before the peer followed."""
        return source == self.left and now < self.left_at + FOLLOW_S and not self.path_is_silent

    def begin_round(self, at: float, *, suspect: bool = False) -> None:
        self.round_started_at = at
        self.round_index = 0
        self.suspect = suspect

    def heard(self, now: float, entropy: Entropy) -> None:
        """The peer lives: the next round is a keepalive interval away.

        Both sides draw their own interval; the shorter one probes and thereby delays the other.
        """
        self.begin_round(now + self.keepalive.draw(entropy))

    def stamp(self, now: float) -> int:
        """`sent_at` for a new probe: rises even when the clock has not."""
        self.last_sent_us = max(self.last_sent_us + 1, int(now * 1_000_000))
        return self.last_sent_us

    def next_timeout(self) -> float:
        """When a probe is due, a ping has failed, the path has been judged, or the peer is lost."""
        pings = [entry.sent_at + PING_TIMEOUT_S for entry in self.outstanding.values() if entry.sequence is not None]
        evaluation_at = self.choice.due_at
        return min([self.due_at, self.width.due_at, *pings, *([] if evaluation_at is None else [evaluation_at])])
