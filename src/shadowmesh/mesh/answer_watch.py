"""Whether what goes into a tunnel is answered, and what comes goes on coming.

A peer that has restarted knows nothing of the session; a NAT that has, lets nothing in until we send.

Spec: docs/spec/mesh.md, section 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

UNANSWERED_S = 0.5  # packets that long without any back, and a probe asks for the reason; most round trips are shorter
PROBE_ANSWER_S = 0.5  # how long that probe may take, or two round trips as measured before
MIN_REPAIR_INTERVAL_S = 10.0  # a handshake is 14 KB: on a link that loses probes a flow without answers costs no more
QUIET_S = 1.0  # packets came in a flow and none for so long: the NAT that let them in may have forgotten us
_FLOW_S = 1.0  # reports of the counters that lie closer together belong to one flow


@dataclass(slots=True)
class AnswerWatch:
    """Of one peer, over all its sessions. Times are monotonic seconds, counters those of the engine."""

    heard_at: float
    rx_bytes: int = 0
    tx_bytes: int = 0
    asked_at: float = math.inf
    due_at: float = math.inf  # when the probe counts as unanswered
    repaired_at: float = -math.inf
    quiet_at: float = math.inf  # when a flow of the peer's packets counts as broken off
    _received_at: float = -math.inf
    _flowing: bool = False  # packets were sent when the last ones came back
    _unanswered_since: float = math.inf

    def heard(self, now: float) -> None:
        """The peer has shown that it has this session."""
        self.heard_at = max(self.heard_at, now)
        self.asked_at = self.due_at = self._unanswered_since = math.inf
        self._flowing = False

    def traffic(self, rx_bytes: int, tx_bytes: int, now: float, *, rtt_s: float | None) -> bool:
        """The counters as they stand, and the round trip time as last probed. True when it is time for a probe."""
        received, sent = rx_bytes != self.rx_bytes, tx_bytes != self.tx_bytes
        self.rx_bytes, self.tx_bytes = rx_bytes, tx_bytes
        if received:
            self.quiet_at = now + QUIET_S if now < self._received_at + _FLOW_S else math.inf
            self._received_at = now
            self.heard(now)
            self._flowing = sent
        elif sent:
            return self._is_unanswered(now, rtt_s or 0.0)
        return False

    def ask(self, now: float, rtt_s: float) -> None:
        """A probe leaves now, and tells whether the peer still has the session."""
        if self.asked_at == math.inf:
            self.asked_at, self.due_at = now, now + max(PROBE_ANSWER_S, 2 * rtt_s)

    def broke_off(self, now: float) -> bool:
        """At `quiet_at`, once. True when it is time for a probe."""
        is_quiet = now >= self.quiet_at
        if is_quiet:
            self.quiet_at = math.inf
        return is_quiet

    def judge(self, probed_at: float | None, now: float) -> bool:
        """At `due_at`, with the time of the last reply to a probe. True when a new handshake is needed, and allowed."""
        asked_at, self.asked_at, self.due_at = self.asked_at, math.inf, math.inf
        if probed_at is not None and probed_at >= asked_at:
            self.heard(probed_at)
            return False
        if now < self.repaired_at + MIN_REPAIR_INTERVAL_S:
            return False
        self.repaired_at = now
        return True

    def _is_unanswered(self, now: float, rtt_s: float) -> bool:
        if self._unanswered_since == math.inf:
            # In a flow answers are owed already; a single packet gets its time from now on.
            is_flow = self._flowing and now < self.heard_at + _FLOW_S
            self._unanswered_since = self.heard_at if is_flow else now
        if self.asked_at != math.inf or now < self._unanswered_since + UNANSWERED_S:
            return False
        self.ask(now, rtt_s)
        return True
