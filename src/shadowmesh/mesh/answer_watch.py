"""Whether what goes into a tunnel is answered: a peer that has restarted knows nothing of the session.

Spec: docs/spec/mesh.md, section 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

UNANSWERED_S = 1.0  # packets that long without any back, and a probe asks for the reason; longer than a round trip
PROBE_ANSWER_S = 0.5  # how long that probe may take; with the shell's reports, half a second apart, it makes 2 s
MIN_REPAIR_INTERVAL_S = 10.0  # a handshake is 14 KB: on a link that loses probes a flow without answers costs no more


@dataclass(slots=True)
class AnswerWatch:
    """Of one peer, over all its sessions. Times are monotonic seconds, counters those of the engine."""

    heard_at: float
    rx_bytes: int = 0
    tx_bytes: int = 0
    asked_at: float = math.inf
    repaired_at: float = -math.inf

    def heard(self, now: float) -> None:
        """The peer has shown that it has this session."""
        self.heard_at = max(self.heard_at, now)
        self.asked_at = math.inf

    def traffic(self, rx_bytes: int, tx_bytes: int, now: float) -> bool:
        """The counters as they stand. True when it is time for a probe."""
        received, sent = rx_bytes != self.rx_bytes, tx_bytes != self.tx_bytes
        self.rx_bytes, self.tx_bytes = rx_bytes, tx_bytes
        if received:
            self.heard(now)
        elif sent and self.asked_at == math.inf and now >= self.heard_at + UNANSWERED_S:
            self.asked_at = now
            return True
        return False

    @property
    def due_at(self) -> float:
        """When the probe counts as unanswered. Infinite when none is out."""
        return self.asked_at + PROBE_ANSWER_S

    def judge(self, probed_at: float | None, now: float) -> bool:
        """At `due_at`, with the time of the last reply to a probe. True when a new handshake is needed, and allowed."""
        asked_at, self.asked_at = self.asked_at, math.inf
        if probed_at is not None and probed_at >= asked_at:
            self.heard(probed_at)
            return False
        if now < self.repaired_at + MIN_REPAIR_INTERVAL_S:
            return False
        self.repaired_at = now
        return True
