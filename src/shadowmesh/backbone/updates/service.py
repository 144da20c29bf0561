"""What the messages on the updates connection do. Spec: docs/spec/backbone.md, section 6."""

from __future__ import annotations

from shadowmesh.backbone.clock import Clock
from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.limits.rates import RateLimiter, Rates
from shadowmesh.backbone.metrics import Metrics
from shadowmesh.backbone.registry.service import Registry
from shadowmesh.backbone.stores.record_store import StoredRecord
from shadowmesh.backbone.updates.connection import CloseReason, Connection
from shadowmesh.backbone.updates.hub import Hub
from shadowmesh.backbone.updates.presence import Presence
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.updates import (
    Call,
    CallFailed,
    DirectoryChanged,
    SetHints,
    Subscribe,
    Unsubscribe,
    Update,
    decode_client_message,
)
from shadowmesh.backbone_protocol.updates import (
    Refused as RefusedMessage,
)
from shadowmesh.identity.names import PeerID
from shadowmesh.records.hints import MAX_HINT_ENDPOINTS
from shadowmesh.records.peer_record import Mode
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError, NotCanonical


class Updates:
    def __init__(
        self, registry: Registry, hub: Hub, presence: Presence, metrics: Metrics, rates: Rates, clock: Clock
    ) -> None:
        self._registry = registry
        self._hub = hub
        self._presence = presence
        self._metrics = metrics
        self._connections_per_peer = RateLimiter(rates.connections_per_peer, clock)
        self._messages_per_peer = RateLimiter(rates.messages_per_peer, clock)
        self._calls_per_caller = RateLimiter(rates.calls_per_caller, clock)
        self._calls_per_callee = RateLimiter(rates.calls_per_callee, clock)

    async def connect(self, peer: PeerID) -> Connection:
        """Raises Refused (RATE_LIMITED, OVERLOADED)."""
        self._connections_per_peer.take(peer.raw)
        connection = Connection(peer)
        self._hub.add(connection)
        self._presence.connected(peer)
        try:
            await self._announce(peer)
        except BaseException:
            self._hub.remove(connection)
            self._presence.disconnected(peer)
            raise
        return connection

    async def disconnect(self, connection: Connection) -> None:
        if connection.closing.done() and connection.closing.result() is CloseReason.TOO_SLOW:
            self._metrics.slow_readers.inc()
        if self._hub.remove(connection):
            self._presence.disconnected(connection.peer)
            await self._announce(connection.peer)

    async def receive(self, connection: Connection, data: bytes | None) -> None:
        """One frame of the peer's; None for a text frame. A refusal is answered, and the connection stays open."""
        if not self._messages_per_peer.allows(connection.peer.raw):
            connection.close(CloseReason.TOO_MANY_MESSAGES)
            return
        try:
            await self._handle(connection, data)
        except Refused as refusal:
            connection.send(RefusedMessage(refusal.problem.slug, refusal.detail))
        except NotCanonical as error:
            connection.send(RefusedMessage(Problem.NOT_CANONICAL.slug, str(error)))
        except DecodeError as error:
            connection.send(RefusedMessage(Problem.MALFORMED.slug, str(error)))

    def record_published(self, record: StoredRecord) -> None:
        self._presence.seen(record.peer)
        if record.decode().record.mode is Mode.PRIVATE:
            self._presence.reachable_at(record.peer, ())
        self._hub.publish(record.peer, self._update(record))

    def directory_changed(self, version: int) -> None:
        self._hub.broadcast(DirectoryChanged(version))

    async def _handle(self, connection: Connection, data: bytes | None) -> None:
        if data is None:
            raise Refused(Problem.UNSUPPORTED_MEDIA_TYPE, "messages are binary frames")
        match decode_client_message(data):
            case Subscribe(peers):
                await self._subscribe(connection, [PeerID(peer) for peer in peers])
            case Unsubscribe(peers):
                self._hub.unsubscribe(connection, [PeerID(peer) for peer in peers])
            case SetHints(endpoints):
                await self._set_hints(connection, endpoints)
            case Call() as call:
                self._call(connection, call)

    async def _subscribe(self, connection: Connection, peers: list[PeerID]) -> None:
        self._hub.subscribe(connection, peers)
        for peer in peers:
            if (record := await self._registry.find(peer)) is not None:
                connection.send(self._update(record))

    async def _set_hints(self, connection: Connection, endpoints: list[bytes]) -> None:
        decoded = tuple(Endpoint.decode(endpoint) for endpoint in endpoints[:MAX_HINT_ENDPOINTS])
        record = await self._registry.find(connection.peer)
        public = record is not None and record.decode().record.mode is Mode.PUBLIC
        if self._hub.find(connection.peer) is connection:
            self._presence.reachable_at(connection.peer, decoded if public else ())
            await self._announce(connection.peer)

    def _call(self, connection: Connection, call: Call) -> None:
        callee = PeerID(call.peer)
        failure = self._failure(connection.peer, callee)
        self._metrics.calls.labels(failure or "passed on").inc()
        other = self._hub.find(callee)
        if failure or other is None:
            connection.send(CallFailed(call.peer, call.token, failure))
        else:
            other.send(Call(connection.peer.raw, call.token, call.answer, call.candidates, call.nat))

    def _failure(self, caller: PeerID, callee: PeerID) -> str:
        """Empty when the call may go on. Limits of the caller come first, so that its flood costs nobody else."""
        if not self._calls_per_caller.allows(caller.raw):
            return "too many calls by you"
        if self._hub.find(callee) is None:
            return "not connected here"
        if not self._calls_per_callee.allows(callee.raw):
            return "too many calls to this peer"
        return ""

    async def _announce(self, peer: PeerID) -> None:
        if self._hub.has_subscribers(peer) and (record := await self._registry.find(peer)) is not None:
            self._hub.publish(peer, self._update(record))

    def _update(self, record: StoredRecord) -> Update:
        return Update(record.peer.raw, record.record_id, self._presence.hints(record))
