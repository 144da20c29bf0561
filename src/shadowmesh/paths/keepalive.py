"""How long an idle path may be silent: as long as the NATs on both sides have shown to keep their mappings.

Spec: docs/spec/paths.md, section "Liveness and change of path".
"""

from __future__ import annotations

from dataclasses import dataclass

from shadowmesh.wire.entropy import Entropy, jitter

# Many NATs forget a mapping after 30 s (RFC 4787 §4.3 asks for 120 s and is not obeyed): the first step is safe with
# them. The last one is just below what it asks for.
SILENCES_S = (25.0, 35.0, 50.0, 75.0, 110.0)
SPREAD_S = 1.0  # each side draws anew: now the one, now the other speaks first
_TOLERANCE_S = 0.5  # of a silence as the two sides measure it


@dataclass(slots=True)
class Keepalive:
    """Of one path. A probe that nothing preceded for a while shows that the NAT of who receives it has held so long."""

    passed_at: float  # when a packet last passed the path, either way
    _asked_at: float = 0.0
    _step: int = 0
    _ceiling: int = len(SILENCES_S) - 1
    _asked_after_s: float = 0.0
    _ours_holds: bool = False  # for the present step
    _theirs_holds: bool = False

    def draw(self, entropy: Entropy) -> float:
        """After how long a silence to probe next."""
        silence_s = SILENCES_S[self._step]
        return jitter(entropy, silence_s - SPREAD_S, silence_s + SPREAD_S)

    def passed(self, now: float) -> None:
        self.passed_at = max(self.passed_at, now)

    def asks(self, now: float) -> None:
        """Our first probe after the silence leaves."""
        self._asked_after_s, self._asked_at = now - self.passed_at, now
        self.passed(now)

    def answered(self, sent_at: float, now: float) -> None:
        """A probe of that time was; only the first one after the silence shows something."""
        self._theirs_holds |= sent_at == self._asked_at and self._is_long_enough(self._asked_after_s)
        self._climb(now)

    def is_asked(self, now: float) -> None:
        """The peer's probe arrived."""
        self._ours_holds |= self._is_long_enough(now - self.passed_at)
        self._climb(now)

    def missed(self) -> None:
        """Our first probe was not answered: if it came after a long silence, that was too long."""
        if self._step > 0 and self._is_long_enough(self._asked_after_s):
            self._step = self._ceiling = self._step - 1
            self._ours_holds = self._theirs_holds = False

    def restart(self, now: float) -> None:
        """Another path, or another network: nothing is known of its NATs."""
        self._step, self._ceiling = 0, len(SILENCES_S) - 1
        self._ours_holds = self._theirs_holds = False
        self.passed(now)

    def _climb(self, now: float) -> None:
        self.passed(now)
        if self._ours_holds and self._theirs_holds and self._step < self._ceiling:
            self._step += 1
            self._ours_holds = self._theirs_holds = False

    def _is_long_enough(self, silence_s: float) -> bool:
        return silence_s >= SILENCES_S[self._step] - SPREAD_S - _TOLERANCE_S
