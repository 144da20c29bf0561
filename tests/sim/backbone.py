"""Simulated backbone nodes over one replicated registry. They answer what a `Mesh` asks, as the real ones do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.sim.chance import SeededEntropy
from tests.sim.network import VirtualNetwork
from tests.sim.timeline import Timeline

from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.updates import (
    Call,
    CallFailed,
    ClientMessage,
    ServerMessage,
    SetHints,
    Subscribe,
    Unsubscribe,
)
from shadowmesh.backbone_protocol.updates import Update as UpdateMessage
from shadowmesh.identity.keys import Identity
from shadowmesh.identity.names import PeerID
from shadowmesh.mesh.machine import Mesh
from shadowmesh.mesh.outputs import FetchDirectory, LogIn, LookUp, OpenUpdates, PublishRecord, Renew
from shadowmesh.mesh.state import BackbonePin
from shadowmesh.records.directory import BackboneNode, Directory, SignedDirectory
from shadowmesh.records.hints import Hints
from shadowmesh.records.peer_record import RecordRefused, Refusal, SignedRecord
from shadowmesh.wire import stun
from shadowmesh.wire.endpoint import Endpoint

TOKEN_S = 24 * 3600
RENEWALS_S = 7 * 86400
UNREACHABLE_AFTER_S = 2.0
_PROBLEMS = {
    Refusal.STALE: Problem.RECORD_STALE,
    Refusal.EQUIVOCATION: Problem.RECORD_EQUIVOCATION,
    Refusal.EXPIRED: Problem.RECORD_EXPIRED,
    Refusal.FROM_THE_FUTURE: Problem.RECORD_FROM_THE_FUTURE,
}


@dataclass(slots=True)
class Client:
    """How a backbone node reaches a light node: runs an input of its machine, and then drains it."""

    peer: PeerID
    feed: Callable[[Callable[[Mesh, float], None]], None]
    is_online: Callable[[], bool]
    logged_in_at: float = 0.0
    expires_at: float = 0.0
    updates: bool = False
    subscribed: dict[bytes, None] = field(default_factory=dict)
    endpoints: tuple[Endpoint, ...] = ()


class Registry:
    """What the nodes of one backbone share: records and presence, at once and completely.

    Calls and updates pass between the nodes. Without that, clients of two nodes that know no address of each other
    can't meet: `pass_between_nodes` shows it.
    """

    def __init__(self) -> None:
        self.records: dict[PeerID, SignedRecord] = {}
        self.nodes: list[SimBackbone] = []
        self.pass_between_nodes = True

    def client(self, peer: PeerID, asked: SimBackbone) -> Client | None:
        """With live updates, at the node that is asked or at another one that lives."""
        for node in self._reachable_from(asked):
            client = node.clients.get(peer)
            if client is not None and client.updates:
                return client
        return None

    def subscribers(self, peer: PeerID, asked: SimBackbone) -> list[Client]:
        clients = [client for node in self._reachable_from(asked) for client in node.clients.values()]
        return [client for client in clients if client.updates and peer.raw in client.subscribed]

    def _reachable_from(self, asked: SimBackbone) -> list[SimBackbone]:
        return [node for node in self.nodes if node is asked or (node.alive and self.pass_between_nodes)]


class SimBackbone:
    def __init__(
        self,
        identity: Identity,
        url: str,
        registry: Registry,
        timeline: Timeline,
        wall: Callable[[], float],
        chance: SeededEntropy,
    ) -> None:
        self.identity = identity
        self.url = url
        self.alive = True
        self.registry = registry
        self.directory: SignedDirectory | None = None
        self.stun: tuple[Endpoint, ...] = ()
        self.clients: dict[PeerID, Client] = {}
        self.log: list[str] = []
        self.delay_s = 0.03
        self.update_loss = 0.0  # of the messages through WebSockets, each way
        self.refuse: dict[str, tuple[Problem, float | None]] = {}  # by request, until it is taken out
        self._timeline = timeline
        self._wall = wall
        self._chance = chance
        registry.nodes.append(self)

    @property
    def pin(self) -> BackbonePin:
        return BackbonePin(self.url, self.identity.fingerprint)

    def node(self) -> BackboneNode:
        return BackboneNode(self.identity.public, 0, self.url, self.stun)

    def listen(self, network: VirtualNetwork, *addresses: str) -> None:
        """A STUN responder on two ports of each address."""
        self.stun = tuple(Endpoint.of(address, port) for address in addresses for port in (3478, 3479))
        for endpoint in self.stun:
            network.attach(endpoint, self._stun_responder(network, endpoint))

    def kill(self) -> None:
        self.alive = False
        clients, self.clients = self.clients, {}
        for client in clients.values():
            if client.updates:
                self._later(client, lambda mesh, now: mesh.updates_closed("connection reset", now))

    def reset(self, client: Client) -> None:
        """The WebSocket of one client breaks; both ends notice."""
        if client.updates:
            client.updates = False
            self._later(client, lambda mesh, now: mesh.updates_closed("connection reset", now))
            self._tell_subscribers(client.peer)

    def restore(self) -> None:
        self.alive = True

    def leave(self, peer: PeerID) -> None:
        self.clients.pop(peer, None)
        self._tell_subscribers(peer)

    def log_in(self, request: LogIn, client: Client) -> None:
        self.log.append(f"log-in {client.peer}")
        if not self._ready("log-in", client):
            return
        assert request.fingerprint == self.identity.fingerprint
        self.clients[client.peer] = client
        client.logged_in_at = self._wall()
        client.expires_at = self._wall() + TOKEN_S
        expires_at, version = int(client.expires_at), self._version()
        self._later(client, lambda mesh, now: mesh.logged_in(expires_at, version, now))

    def renew(self, _request: Renew, client: Client) -> None:
        self.log.append(f"renewal {client.peer}")
        if not self._ready("renewal", client):
            return
        if self._wall() >= client.expires_at:
            self._fail(client, Problem.TOKEN_EXPIRED)
        elif self._wall() + TOKEN_S > client.logged_in_at + RENEWALS_S:
            self._fail(client, Problem.RENEWAL_OVER)
        else:
            client.expires_at = self._wall() + TOKEN_S
            expires_at, version = int(client.expires_at), self._version()
            self._later(client, lambda mesh, now: mesh.renewed(expires_at, version, now))

    def fetch_directory(self, _request: FetchDirectory, client: Client) -> None:
        self.log.append(f"directory {client.peer}")
        if self._ready("directory", client):
            assert self.directory is not None
            encoded = self.directory.encoded
            self._later(client, lambda mesh, now: mesh.directory_received(encoded, now))

    def publish(self, request: PublishRecord, client: Client) -> None:
        self.log.append(f"publication {client.peer}")
        if not self._ready("publication", client):
            return
        try:
            request.record.accept(client.peer, now=self._wall(), known=self.registry.records.get(client.peer))
        except RecordRefused as refused:
            self._fail(client, _PROBLEMS[refused.reason])
            return
        self.registry.records[client.peer] = request.record
        self._later(client, lambda mesh, now: mesh.published(now))
        self._tell_subscribers(client.peer)

    def look_up(self, request: LookUp, client: Client) -> None:
        self.log.append(f"look-up {request.peer}")
        if not self._is_reached_by(client):
            self._later(
                client, lambda mesh, now: mesh.look_up_failed(request.peer, "not reached", now), UNREACHABLE_AFTER_S
            )
            return
        held = self.registry.records.get(request.peer)
        if held is None:
            self._later(client, lambda mesh, now: mesh.peer_not_found(request.peer, now))
            return
        record = None if request.have is not None and held.record_id.startswith(request.have) else held
        hints = self._hints(request.peer)
        self._later(client, lambda mesh, now: mesh.peer_found(request.peer, record, held.record_id, hints, now))

    def open_updates(self, _request: OpenUpdates, client: Client) -> None:
        self.log.append(f"updates {client.peer}")
        if not self._is_reached_by(client) or client.peer not in self.clients or "updates" in self.refuse:
            self._later(client, lambda mesh, now: mesh.updates_closed("not reached", now), UNREACHABLE_AFTER_S)
            return
        client.updates = True
        self._later(client, lambda mesh, now: mesh.updates_opened(now))
        self._tell_subscribers(client.peer)

    def receive(self, message: ClientMessage, client: Client) -> None:
        if not client.updates or self._is_lost(client):
            return
        match message:
            case Subscribe(peers=peers):
                client.subscribed.update(dict.fromkeys(peers))
                for raw in peers:
                    if PeerID(raw) in self.registry.records:
                        self._tell(client, PeerID(raw))
            case Unsubscribe(peers=peers):
                for raw in peers:
                    client.subscribed.pop(raw, None)
            case SetHints(endpoints=endpoints):
                client.endpoints = tuple(Endpoint.decode(encoded) for encoded in endpoints)
                self._tell_subscribers(client.peer)
            case Call():
                self._pass_on(message, client)

    def _pass_on(self, call: Call, caller: Client) -> None:
        callee = self.registry.client(PeerID(call.peer), self)
        if callee is None:
            failed = CallFailed(peer=call.peer, token=call.token, reason="not connected")
            self._push(caller, failed)
            return
        passed = Call(caller.peer.raw, call.token, call.answer, call.candidates, call.nat)
        self._push(callee, passed)

    def _ready(self, request: str, client: Client) -> bool:
        if not self._is_reached_by(client):
            self._later(
                client, lambda mesh, now: mesh.backbone_failed(None, "not reached", None, now), UNREACHABLE_AFTER_S
            )
            return False
        if request in self.refuse:
            problem, retry_after_s = self.refuse[request]
            self._later(client, lambda mesh, now: mesh.backbone_failed(problem, problem.title, retry_after_s, now))
            return False
        if request != "log-in" and client.peer not in self.clients:
            self._fail(client, Problem.TOKEN_INVALID)
            return False
        return True

    def _fail(self, client: Client, problem: Problem) -> None:
        self._later(client, lambda mesh, now: mesh.backbone_failed(problem, problem.title, None, now))

    def _push(self, client: Client, message: ServerMessage) -> None:
        """Through its WebSocket."""
        if not self._is_lost(client):
            self._later(client, lambda mesh, now: mesh.update_received(message, now))

    def _is_reached_by(self, client: Client) -> bool:
        return self.alive and client.is_online()

    def _is_lost(self, client: Client) -> bool:
        return not self._is_reached_by(client) or (self.update_loss > 0 and self._chance.fraction() < self.update_loss)

    def _later(self, client: Client, act: Callable[[Mesh, float], None], delay_s: float | None = None) -> None:
        self._timeline.after(self.delay_s if delay_s is None else delay_s, lambda: client.feed(act))

    def _version(self) -> int:
        return 0 if self.directory is None else self.directory.directory.version

    def _hints(self, peer: PeerID) -> Hints:
        client = self.registry.client(peer, self)
        return Hints(client is not None, int(self._wall()), () if client is None else client.endpoints[:4])

    def _tell_subscribers(self, peer: PeerID) -> None:
        if peer in self.registry.records:
            for client in self.registry.subscribers(peer, self):
                self._tell(client, peer)

    def _tell(self, client: Client, peer: PeerID) -> None:
        record_id = self.registry.records[peer].record_id
        update = UpdateMessage(peer=peer.raw, record_id=record_id, hints=self._hints(peer).encode())
        self._push(client, update)

    def _stun_responder(self, network: VirtualNetwork, own: Endpoint) -> Callable[[bytes, Endpoint], None]:
        def respond(data: bytes, source: Endpoint) -> None:
            if self.alive:
                request = stun.decode(data)
                others = [each for each in self.stun if each.address == own.address and each != own]
                answering = others[0] if request.change_port else own
                network.send(stun.encode_binding_success(request.transaction_id, source), answering, source)

        return respond


def sign_directory(backbones: list[SimBackbone], version: int, wall: float) -> None:
    """Gives all of them one directory that all have signed."""
    nodes = tuple(backbone.node() for backbone in backbones)
    directory = Directory(version, int(wall), int(wall) + 6 * 86400, nodes)
    signed = directory.sign(*(backbone.identity for backbone in backbones))
    for backbone in backbones:
        backbone.directory = signed
