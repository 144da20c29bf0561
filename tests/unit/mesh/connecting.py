"""A connector with a real handshaker, and one peer to reach."""

from __future__ import annotations

from typing import TypeVar

from tests.sim.chance import SeededEntropy
from tests.sim.world import WALL_START, identity_number
from tests.unit.mesh.records import record_of

from shadowmesh.backbone_protocol.updates import Call, Update
from shadowmesh.identity.names import PeerID
from shadowmesh.mesh.attempts import ConnectorOutput
from shadowmesh.mesh.calls import OwnAddresses
from shadowmesh.mesh.connector import Connector
from shadowmesh.mesh.connector_events import AttemptFailed, LinkView
from shadowmesh.mesh.known_peers import KnownPeers
from shadowmesh.mesh.outputs import SendUpdate
from shadowmesh.mesh.state import PeerState, TrustedPeer
from shadowmesh.mesh.trust import TrustList
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.events import PunchEnded
from shadowmesh.paths.nat_behaviour import UNKNOWN_NAT
from shadowmesh.paths.punch import GIVE_UP_AFTER_S
from shadowmesh.paths.punch_plan import Role
from shadowmesh.records.hints import Hints
from shadowmesh.records.peer_record import SignedRecord
from shadowmesh.session.handshaker import Handshaker
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

ME, BOB, STRANGER = identity_number(5000), identity_number(1), identity_number(2)
RECORD = record_of(1)
WHERE, ELSEWHERE = Endpoint.of("198.18.0.3", 41641), Endpoint.of("198.18.0.4", 41641)
OWN = Endpoint.of("198.18.0.1", 41641)
ONLINE = LinkView(online=True, updates_open=True, reason="")
OFFLINE = LinkView(reason="no network")
PENDING = LinkView(pending=True)


T = TypeVar("T")


class Node:
    """A connector that trusts bob, at 0.0."""

    def __init__(
        self, record: SignedRecord | None = None, *, at: Endpoint | None = None, link: LinkView = OFFLINE
    ) -> None:
        trust = TrustList(ME.fingerprint, [TrustedPeer(BOB.fingerprint, "bob")])
        self.known = KnownPeers(trust, (), [] if record is None else [record], wall_clock=lambda: WALL_START)
        if at is not None:
            self.known.reached(BOB.peer_id, at)
        self.connector = connect_with(self.known, trust)
        self.connector.own_addresses_changed(addresses(OWN), 0.0)
        self.connector.link_changed(link, 0.0)
        self._drained: list[ConnectorOutput] = []

    def state(self) -> PeerState:
        peer = self.connector.get(BOB.peer_id)
        assert peer is not None
        return peer.state

    def want(self) -> None:
        self.connector.want(BOB.peer_id, 0.0)

    def receive_call(self, peer: PeerID, *endpoints: Endpoint) -> None:
        self.connector.update_received(call_with(peer.raw, b"t" * 16, *map(host, endpoints), answer=False), 0.0)

    def answer(self, call: Call) -> None:
        self.connector.update_received(call_with(BOB.peer_id.raw, call.token, host(WHERE), answer=True), 0.0)

    def punch_ended(self, role: Role, *, found: bool = False) -> None:
        self.connector.punch_ended(PunchEnded(BOB.peer_id, found, role, 8), GIVE_UP_AFTER_S)

    def failures(self) -> list[AttemptFailed]:
        return self._take(AttemptFailed)

    def receive_hints(self, hints: Hints) -> None:
        self.connector.update_received(Update(peer=BOB.peer_id.raw, record_id=bytes(32), hints=hints.encode()), 0.0)

    def run(self, until: float) -> None:
        while (at := self.connector.next_timeout()) is not None and at <= until:
            self.connector.handle_timeout(at)
            after = self.connector.next_timeout()
            assert after is None or after > at

    def drain(self) -> list[ConnectorOutput]:
        while (output := self.connector.poll()) is not None:
            self._drained.append(output)
        drained, self._drained = self._drained, []
        return drained

    def transmits(self) -> list[Transmit]:
        return self._take(Transmit)

    def call(self) -> Call:
        (update,) = self._take(SendUpdate)
        assert isinstance(update.message, Call)
        return update.message

    def others(self) -> list[ConnectorOutput]:
        drained = self.drain()
        self._drained = [output for output in drained if isinstance(output, Transmit)]
        return [output for output in drained if not isinstance(output, Transmit)]

    def _take(self, kind: type[T]) -> list[T]:
        drained = self.drain()
        self._drained = [output for output in drained if not isinstance(output, kind)]
        return [output for output in drained if isinstance(output, kind)]


def host(endpoint: Endpoint) -> bytes:
    return Candidate(CandidateKind.HOST, endpoint).encode()


def addresses(endpoint: Endpoint) -> OwnAddresses:
    return OwnAddresses((Candidate(CandidateKind.HOST, endpoint),))


def call_with(peer: bytes, token: bytes, *candidates: bytes, answer: bool) -> Call:
    return Call(peer, token, answer, list(candidates), UNKNOWN_NAT.encode())


def connect_with(known: KnownPeers, trust: TrustList) -> Connector:
    entropy = SeededEntropy(1)
    handshaker = Handshaker(ME, record_of(5000), entropy=entropy, wall_clock=lambda: WALL_START, now=0.0, ids=OpenIds())
    connector = Connector(known, handshaker, entropy=entropy, now=0.0)
    for peer in trust.all():
        connector.add(peer)
    return connector
