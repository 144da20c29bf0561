"""How this node is, and what a client needs to know before it logs in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shadowmesh.backbone.directory.service import DirectoryService
from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.limits.addresses import ClientAddress
from shadowmesh.backbone.limits.verification import VerificationPool
from shadowmesh.backbone.stores.record_store import RecordStore
from shadowmesh.backbone.stores.sqlite import sqlite_version
from shadowmesh.backbone_protocol.body import Body
from shadowmesh.backbone_protocol.login import Challenge
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.identity.keys import Identity
from shadowmesh.records.region import Region

_STORE_TIME_S = 2.0  # a disk that takes longer for one row serves nobody


class HealthReply(Body, frozen=True):
    status: str
    fingerprint: str
    region: str
    directory_version: int
    sqlite: str
    next_challenge: Challenge | None = None  # left out when the address has had its share of challenges


class LiveReply(Body, frozen=True):
    status: str


class Health:
    def __init__(
        self,
        identity: Identity,
        region: Region,
        *,
        challenge: Callable[[ClientAddress], Challenge],
        directory: DirectoryService,
        store: RecordStore,
        pool: VerificationPool,
    ) -> None:
        self._identity = identity
        self._region = region
        self._challenge = challenge
        self._directory = directory
        self._store = store
        self._pool = pool

    def overview(self, address: ClientAddress) -> HealthReply:
        try:
            challenge: Challenge | None = self._challenge(address)
        except Refused:
            challenge = None
        return HealthReply(
            status="ok",
            fingerprint=str(self._identity.fingerprint),
            region=self._region.label,
            directory_version=self._directory.version,
            sqlite=sqlite_version(),
            next_challenge=challenge,
        )

    async def check_ready(self) -> None:
        """Raises Refused (OVERLOADED) when the store does not answer or the verification queue is full."""
        if self._pool.full:
            raise Refused(Problem.OVERLOADED, "the verification queue is full", retry_after_s=1)
        try:
            async with asyncio.timeout(_STORE_TIME_S):
                await self._store.get(self._identity.peer_id)
        except Exception as error:
            raise Refused(Problem.OVERLOADED, "the store does not answer", retry_after_s=5) from error
