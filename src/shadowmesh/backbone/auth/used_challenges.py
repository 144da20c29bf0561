"""Challenges that were used, until they expire."""

from __future__ import annotations

from shadowmesh.backbone.auth.challenges import CHALLENGE_LIFETIME_S
from shadowmesh.backbone.clock import Clock
from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone_protocol.problems import Problem

# 2,900 log-ins a second for 90 s, more than one machine verifies; about 30 MB. Full means refuse, never forget:
# a forgotten challenge could be used twice.
MAX_USED_CHALLENGES = 2**18


class UsedChallenges:
    """Two generations by time of expiry, so that the old ones leave all at once."""

    def __init__(self, clock: Clock, *, most: int = MAX_USED_CHALLENGES) -> None:
        self._clock = clock
        self._most = most
        self._generations: dict[int, set[bytes]] = {}

    def check_unused(self, challenge: bytes, expires: int) -> None:
        """Raises Refused (CHALLENGE_REPLAYED)."""
        if challenge in self._generations.get(_generation(expires), ()):
            raise Refused(Problem.CHALLENGE_REPLAYED)

    def use(self, challenge: bytes, expires: int) -> None:
        """Before any signature is looked at: one challenge buys one verification.

        Raises Refused (CHALLENGE_REPLAYED, OVERLOADED).
        """
        self.check_unused(challenge, expires)
        self._forget_expired()
        if sum(map(len, self._generations.values())) >= self._most:
            raise Refused(
                Problem.OVERLOADED, "too many challenges were used lately", retry_after_s=CHALLENGE_LIFETIME_S
            )
        self._generations.setdefault(_generation(expires), set()).add(challenge)

    def _forget_expired(self) -> None:
        now = _generation(self._clock())
        for generation in [generation for generation in self._generations if generation < now]:
            del self._generations[generation]


def _generation(expires: float) -> int:
    return int(expires) // CHALLENGE_LIFETIME_S
