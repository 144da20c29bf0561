"""Tokens that were revoked before they expired."""

from __future__ import annotations

from typing import Protocol

from shadowmesh.backbone.clock import Clock
from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone_protocol.problems import Problem

# A peer makes at most six tokens a minute, and only its owner revokes them: this is many owners in a bad mood, 8 MB.
MAX_DENIED_TOKENS = 65_536


class DeniedTokenStore(Protocol):
    async def deny(self, token_id: str, expires_at: int) -> None: ...

    async def denied(self) -> dict[str, int]:
        """Each denied token's id and when it would expire."""
        ...

    async def forget_expired_denials(self, now: float) -> None: ...


class DeniedTokens:
    """Asked on every request, so held in memory; written through, so that a restart forgets none."""

    def __init__(self, store: DeniedTokenStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._denied: dict[str, int] = {}

    async def load(self) -> None:
        self._denied = await self._store.denied()

    def __contains__(self, token_id: str) -> bool:
        return token_id in self._denied

    async def deny(self, token_id: str, expires_at: int) -> None:
        """Raises Refused (OVERLOADED) rather than forget an older one."""
        if len(self._denied) >= MAX_DENIED_TOKENS and token_id not in self._denied:
            raise Refused(Problem.OVERLOADED, "too many revoked tokens", retry_after_s=3600)
        await self._store.deny(token_id, expires_at)
        self._denied[token_id] = expires_at

    async def sweep(self) -> None:
        now = self._clock()
        self._denied = {token_id: expires for token_id, expires in self._denied.items() if expires > now}
        await self._store.forget_expired_denials(now)
