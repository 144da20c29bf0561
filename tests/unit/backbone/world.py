"""A whole backbone in a folder of its own, with a clock that a test sets."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp
from tests.unit.backbone.client import Client, InProcess

from shadowmesh.backbone.app import create_app
from shadowmesh.backbone.config import BackboneConfig
from shadowmesh.backbone.data_folder import DataFolder
from shadowmesh.backbone.limits.rates import Rate, Rates
from shadowmesh.backbone.services import Services, open_services
from shadowmesh.identity.keys import Identity
from shadowmesh.wire.entropy import Entropy

START = 1_790_000_000.0
PLENTY = Rate(1e6, 1_000_000)
UNLIMITED = Rates(**dict.fromkeys(Rates.__dataclass_fields__, PLENTY))


class SettableClock:
    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def seeded(seed: int) -> Entropy:
    """A stream that is the same for the same seed."""
    return random.Random(seed).randbytes  # noqa: S311 - a test must be repeatable


@dataclass
class World:
    services: Services
    app: ASGIApp
    clock: SettableClock
    identity: Identity

    @property
    def now(self) -> int:
        return int(self.clock.now)

    def transport(self, address: str = "192.0.2.1") -> InProcess:
        return InProcess(self.app, address)

    def client(self, *, address: str = "192.0.2.1", identity: Identity | None = None) -> Client:
        client = Client(self.transport(address))
        if identity is not None:
            client.identity = identity
        return client

    async def logged_in(self, *, address: str = "192.0.2.1", identity: Identity | None = None) -> Client:
        client = self.client(address=address, identity=identity)
        await client.login()
        return client


@asynccontextmanager
async def world(
    folder: Path, *, rates: Rates = UNLIMITED, clock: SettableClock | None = None, seed: int = 2, **config: Any
) -> AsyncIterator[World]:
    """Without rate limits unless the test gives its own."""
    clock = clock or SettableClock()
    data = DataFolder(folder)
    lock = data.open()
    try:
        identity = data.load_or_make_identity(seeded(1))
        chosen = replace(BackboneConfig(urls=("https://backbone.test",), rates=rates), **config)
        services = await open_services(data, identity, chosen, clock, seeded(seed))
        try:
            yield World(services, create_app(services), clock, identity)
        finally:
            await services.close()
    finally:
        lock.close()


def limited(**rates: Rate) -> Rates:
    """Only these limits."""
    return replace(UNLIMITED, **rates)
