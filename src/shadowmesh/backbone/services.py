"""The features of one backbone node, composed. Everything gets what it needs here, and finds nothing by itself."""

from __future__ import annotations

from dataclasses import dataclass

from shadowmesh.backbone.auth.challenges import ChallengeIssuer
from shadowmesh.backbone.auth.denied_tokens import DeniedTokens
from shadowmesh.backbone.auth.proofs import ProofChecker
from shadowmesh.backbone.auth.service import AuthService
from shadowmesh.backbone.auth.token_keys import TokenKeys
from shadowmesh.backbone.auth.tokens import Tokens
from shadowmesh.backbone.auth.used_challenges import UsedChallenges
from shadowmesh.backbone.clock import Clock
from shadowmesh.backbone.config import BackboneConfig
from shadowmesh.backbone.data_folder import DataFolder
from shadowmesh.backbone.directory.service import DirectoryService
from shadowmesh.backbone.health.service import Health
from shadowmesh.backbone.http.callers import Callers
from shadowmesh.backbone.limits.verification import VerificationPool
from shadowmesh.backbone.metrics import Metrics
from shadowmesh.backbone.queries.service import Queries
from shadowmesh.backbone.registry.service import Registry
from shadowmesh.backbone.stores.record_store import StoredRecord
from shadowmesh.backbone.stores.sqlite import SqliteStore
from shadowmesh.backbone.updates.hub import Hub
from shadowmesh.backbone.updates.presence import Presence
from shadowmesh.backbone.updates.service import Updates
from shadowmesh.identity.keys import Identity
from shadowmesh.records.directory import BackboneNode
from shadowmesh.wire.entropy import Entropy


@dataclass(frozen=True, slots=True)
class Services:
    config: BackboneConfig
    clock: Clock
    node: BackboneNode
    store: SqliteStore
    pool: VerificationPool
    auth: AuthService
    denied: DeniedTokens
    callers: Callers
    registry: Registry
    presence: Presence
    queries: Queries
    hub: Hub
    updates: Updates
    directory: DirectoryService
    health: Health
    metrics: Metrics

    async def sweep(self) -> None:
        """To be called about once a minute."""
        await self.registry.sweep()
        await self.denied.sweep()

    async def refresh_directory(self) -> None:
        before = self.directory.version
        self.directory.refresh()
        if self.directory.version != before:
            self.updates.directory_changed(self.directory.version)

    async def close(self) -> None:
        self.pool.close()
        await self.store.close()


async def open_services(
    folder: DataFolder, identity: Identity, config: BackboneConfig, clock: Clock, entropy: Entropy
) -> Services:
    """`folder` is locked by the caller. Raises CannotStart."""
    node = BackboneNode(identity.public, config.region, config.urls[0], tuple(config.stun))
    directory = DirectoryService(folder.directory, identity, node, clock)
    tokens = Tokens(identity.peer_id, TokenKeys(folder.token_keys, identity.peer_id, clock, entropy), clock, entropy)
    store = await SqliteStore.open(folder.database)
    metrics = Metrics()
    pool = VerificationPool(config.workers)
    hub = Hub()
    presence = Presence(clock)
    updates: Updates

    def published(record: StoredRecord) -> None:
        updates.record_published(record)

    registry = Registry(store, pool=pool, published=published, rates=config.rates, clock=clock)
    updates = Updates(registry, hub, presence, metrics, config.rates, clock)
    denied = DeniedTokens(store, clock)
    auth = AuthService(
        identity,
        challenges=ChallengeIssuer(identity.peer_id, clock, entropy),
        used=UsedChallenges(clock),
        tokens=tokens,
        denied=denied,
        pool=pool,
        known_key=registry.known_key,
        directory_version=lambda: directory.version,
        rates=config.rates,
        clock=clock,
    )
    services = Services(
        config=config,
        clock=clock,
        node=node,
        store=store,
        pool=pool,
        auth=auth,
        denied=denied,
        callers=Callers(tokens, denied, ProofChecker()),
        registry=registry,
        presence=presence,
        queries=Queries(registry, presence, config.rates, clock),
        hub=hub,
        updates=updates,
        directory=directory,
        health=Health(identity, config.region, challenge=auth.challenge, directory=directory, store=store, pool=pool),
        metrics=metrics,
    )
    _add_gauges(services)
    await denied.load()
    await services.sweep()
    return services


def _add_gauges(services: Services) -> None:
    gauge = services.metrics.gauge
    gauge("connections", "Open connections for updates", lambda: len(services.hub))
    gauge("verifications", "Signatures that are checked or wait for it", lambda: services.pool.admitted)
    gauge("records", "Records in the registry", lambda: services.registry.size)
    gauge("directory_version", "Version of the directory", lambda: services.directory.version)
    gauge(
        "directory_seconds_left",
        "Time until the directory expires",
        lambda: services.directory.current.expires_at - services.clock(),
    )
