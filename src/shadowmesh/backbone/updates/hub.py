"""Which connection belongs to which peer, and who wants to hear of whom."""

from __future__ import annotations

from collections.abc import Iterable

from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.updates.connection import CloseReason, Connection
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.updates import MAX_SUBSCRIPTIONS, ServerMessage
from shadowmesh.identity.names import PeerID

# Ten times what a region is planned for; each costs about 30 KB with its TLS state.
MAX_CONNECTIONS = 10_000


class Hub:
    def __init__(self, *, most: int = MAX_CONNECTIONS) -> None:
        self._most = most
        self._connections: dict[PeerID, Connection] = {}
        self._subscribers: dict[PeerID, dict[Connection, None]] = {}  # dicts, because their order is deterministic

    def __len__(self) -> int:
        return len(self._connections)

    def find(self, peer: PeerID) -> Connection | None:
        """Its connection, unless that is about to be closed."""
        connection = self._connections.get(peer)
        return None if connection is None or connection.closing.done() else connection

    def add(self, connection: Connection) -> None:
        """The newest connection of a peer wins: the old one is often dead. Raises Refused (OVERLOADED)."""
        before = self._connections.get(connection.peer)
        if before is None and len(self._connections) >= self._most:
            raise Refused(Problem.OVERLOADED, "too many connections", retry_after_s=30)
        if before is not None:
            self.remove(before)
            before.close(CloseReason.REPLACED)
        self._connections[connection.peer] = connection

    def remove(self, connection: Connection) -> bool:
        """Whether it was its peer's connection until now."""
        self.unsubscribe(connection, list(connection.subscriptions))
        if self._connections.get(connection.peer) is not connection:
            return False
        del self._connections[connection.peer]
        return True

    def subscribe(self, connection: Connection, peers: Iterable[PeerID]) -> None:
        """Raises Refused (OVERLOADED) when it would be more than 128; those before stay."""
        new = [peer for peer in dict.fromkeys(peers) if peer not in connection.subscriptions]
        if len(connection.subscriptions) + len(new) > MAX_SUBSCRIPTIONS:
            raise Refused(Problem.OVERLOADED, f"at most {MAX_SUBSCRIPTIONS} subscriptions")
        for peer in new:
            connection.subscriptions[peer] = None
            self._subscribers.setdefault(peer, {})[connection] = None

    def unsubscribe(self, connection: Connection, peers: Iterable[PeerID]) -> None:
        for peer in peers:
            if connection.subscriptions.pop(peer, self) is self:
                continue
            subscribers = self._subscribers[peer]
            del subscribers[connection]
            if not subscribers:
                del self._subscribers[peer]

    def publish(self, peer: PeerID, message: ServerMessage) -> None:
        """To everybody who has subscribed to `peer`."""
        for connection in list(self._subscribers.get(peer, ())):
            connection.send(message)

    def broadcast(self, message: ServerMessage) -> None:
        for connection in list(self._connections.values()):
            connection.send(message)

    def has_subscribers(self, peer: PeerID) -> bool:
        return peer in self._subscribers
