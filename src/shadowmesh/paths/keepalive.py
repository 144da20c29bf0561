"""How long an idle path may be silent: as long as the NATs on both sides have shown to keep their mappings.

A probe that nothing preceded for a while, and that is answered, shows that the peer's NAT has held so long. Each side
learns the peer's in this way, and the one that has learnt less speaks first: so the worse of the two decides.

Spec: docs/spec/paths.md, section 5.4.
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
    """Of one path, on one side."""

    passed_at: float  # when a packet last passed the path, either way
    _asked_at: float = 0.0
    _step: int = 0
    _ceiling: int = len(SILENCES_S) - 1
    _asked_after_s: float = 0.0

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
        self.passed(now)
        if sent_at == self._asked_at and self._is_long_enough(self._asked_after_s) and self._step < self._ceiling:
            self._step += 1

    def missed(self) -> None:
        """Our first probe was not answered: if it came after a long silence, that was too long."""
        if self._step > 0 and self._is_long_enough(self._asked_after_s):
            self._step = self._ceiling = self._step - 1

    def moved(self, now: float) -> None:
        """Another path, mostly through another mapping of the same NATs: what was too long once stays so."""
        self._step = 0
        self.passed(now)

    def restart(self, now: float) -> None:
        """Another network: nothing is known of its NATs."""
        self._ceiling = len(SILENCES_S) - 1
        self.moved(now)

    def _is_long_enough(self, silence_s: float) -> bool:
        return silence_s >= SILENCES_S[self._step] - SPREAD_S - _TOLERANCE_S
