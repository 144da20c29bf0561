"""Which of several working paths to one peer carries the data. Spec: docs/spec/paths.md, section 7."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from shadowmesh.wire.endpoint import Endpoint

# After a session began or a network changed: twice soon, as a path counts when it has answered twice, then rarer.
EVALUATION_OFFSETS_S = (0.3, 0.6, 5.0, 15.0, 60.0, 300.0)
FIRST_EVALUATIONS = 3  # whatever has not answered by then is left alone
MIN_ANSWERS = 2
MAX_UNANSWERED = 2  # evaluations in a row: one may be lost
MIN_GAIN = 0.25  # of the round trip: what is nearly as fast is not worth a move
MIN_GAIN_S = 0.0005  # below it, it is the scheduler that was measured
FRESH_S = 2.0  # all paths are asked at once, and the slowest answers within this
MIN_STAY_S = 10.0  # two paths that are faster in turn don't change with each probe
_WEIGHT = 0.3  # of the newest round trip in the average


@dataclass(slots=True)
class _Path:
    rtt_s: float
    answered_at: float
    answers: int = 1
    asked: int = 0  # since the last answer
    via: int = 0  # the local port that the last answer came to

    def answered(self, rtt_s: float, now: float) -> None:
        self.rtt_s += _WEIGHT * (rtt_s - self.rtt_s)
        self.answered_at = now
        self.answers += 1
        self.asked = 0


@dataclass(slots=True)
class PathChoice:
    """Of one session. The owner sends the probes, and says what came back."""

    began_at: float
    moved_at: float = -math.inf
    evaluations: int = 0
    _paths: dict[Endpoint, _Path] = field(default_factory=dict)

    @property
    def due_at(self) -> float | None:
        """When all paths are to be probed next; None: they have been compared enough."""
        is_over = self.evaluations == len(EVALUATION_OFFSETS_S)
        return None if is_over else self.began_at + EVALUATION_OFFSETS_S[self.evaluations]

    def restart(self, now: float) -> None:
        """The network has changed, or there are other candidates: nothing that was measured counts."""
        self.began_at = now
        self.evaluations = 0
        self._paths.clear()

    def worth_probing(self, candidate: Endpoint) -> bool:
        return self.evaluations < FIRST_EVALUATIONS or candidate in self._paths

    def evaluate(self, now: float) -> None:
        """All that are worth it are being probed now."""
        while self.due_at is not None and now >= self.due_at:
            self.evaluations += 1
        for endpoint, path in list(self._paths.items()):
            path.asked += 1
            if path.asked > MAX_UNANSWERED:
                del self._paths[endpoint]

    def answered(self, endpoint: Endpoint, rtt_s: float, now: float, via: int = 0) -> None:
        """`via`: the local port that the answer came to, 0: the main one."""
        path = self._paths.get(endpoint)
        if path is None:
            path = self._paths[endpoint] = _Path(rtt_s, now)
        else:
            path.answered(rtt_s, now)
        path.via = via

    def rtt_s(self, endpoint: Endpoint) -> float | None:
        path = self._paths.get(endpoint)
        return None if path is None else path.rtt_s

    def via(self, endpoint: Endpoint) -> int:
        """The local port that leads there; the main one, 0, to what has not answered."""
        path = self._paths.get(endpoint)
        return 0 if path is None else path.via

    def moved(self, now: float) -> None:
        self.moved_at = now

    def better_than(self, present: Endpoint, now: float) -> Endpoint | None:
        """The fastest path, if it is so much faster than the present one that it is worth a move.

        Only what has just answered counts: what was measured before may be gone.
        """
        fresh = {each: path for each, path in self._paths.items() if now < path.answered_at + FRESH_S}
        measured = fresh.get(present)
        trusted = {endpoint: path for endpoint, path in fresh.items() if path.answers >= MIN_ANSWERS}
        if measured is None or not trusted or now < self.moved_at + MIN_STAY_S:
            return None
        fastest = min(trusted, key=lambda endpoint: trusted[endpoint].rtt_s)
        gain_s = measured.rtt_s - trusted[fastest].rtt_s
        return fastest if gain_s > max(MIN_GAIN_S, MIN_GAIN * measured.rtt_s) else None
