"""Challenges that cost the server no memory: what it needs to know later is in the tag."""

from __future__ import annotations

import hmac

from shadowmesh.backbone.clock import Clock
from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.limits.addresses import ClientAddress
from shadowmesh.backbone_protocol.login import CHALLENGE_BYTES, TAG_BYTES, Challenge, LoginRequest
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.identity.names import PeerID
from shadowmesh.wire.entropy import Entropy

CHALLENGE_LIFETIME_S = 90  # long enough for a slow uplink and a person's passphrase, short enough to remember all used
_EPOCH_S = 3600
_TAG_LABEL = b"shadowmesh/v1/challenge-tag"


class ChallengeIssuer:
    """tag = HMAC-SHA-256(k_epoch, challenge, expires, client's /32 or /56), its first 16 bytes.

    The key is this process's own and dies with it: another process, or this one restarted, refuses the challenge,
    so a challenge that was used before a restart cannot be used again after it.
    """

    def __init__(self, server: PeerID, clock: Clock, entropy: Entropy) -> None:
        self._server = server.raw
        self._clock = clock
        self._entropy = entropy
        self._key = entropy(32)

    def issue(self, address: ClientAddress) -> Challenge:
        challenge = self._entropy(CHALLENGE_BYTES)
        expires = int(self._clock()) + CHALLENGE_LIFETIME_S
        return Challenge(challenge, expires, self._tag(challenge, expires, address), self._server)

    def check(self, request: LoginRequest, address: ClientAddress) -> None:
        """Raises Refused (CHALLENGE_FORGED, CHALLENGE_EXPIRED)."""
        if not hmac.compare_digest(request.tag, self._tag(request.challenge, request.expires, address)):
            raise Refused(Problem.CHALLENGE_FORGED)
        if self._clock() >= request.expires:
            raise Refused(Problem.CHALLENGE_EXPIRED)

    def _tag(self, challenge: bytes, expires: int, address: ClientAddress) -> bytes:
        times = expires.to_bytes(8, "big")
        epoch_key = hmac.digest(self._key, (expires // _EPOCH_S).to_bytes(8, "big"), "sha256")
        return hmac.digest(epoch_key, _TAG_LABEL + challenge + times + address.key, "sha256")[:TAG_BYTES]
