"""A puncher that was called, and the peer it is to reach."""

from __future__ import annotations

from tests.sim.chance import SeededEntropy

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.events import PortsWanted
from shadowmesh.paths.nat_behaviour import Filtering, Mapping, NatBehaviour
from shadowmesh.paths.probe_datagram import ProbeDatagram, ProbeKeys
from shadowmesh.paths.punch import (
    SPRAY_AFTER_S,
)
from shadowmesh.paths.punch_plan import MAX_SOCKETS
from shadowmesh.paths.puncher import (
    Puncher,
    PuncherOutput,
    punch_keys,
)
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

OWN, PEER, OTHER = PeerID(b"a" * 20), PeerID(b"b" * 20), PeerID(b"c" * 20)
TOKEN, TOKEN_2, TOKEN_3 = bytes(range(16)), bytes(range(1, 17)), bytes(range(2, 18))
OUTSIDE, INSIDE, ELSEWHERE = (
    Endpoint.of("203.0.113.2", 41641),
    Endpoint.of("192.168.1.2", 41641),
    Endpoint.of("203.0.113.2", 5000),
)

CANDIDATES = (Candidate(CandidateKind.SERVER_REFLEXIVE, OUTSIDE), Candidate(CandidateKind.HOST, INSIDE))
APD = Filtering.ADDRESS_AND_PORT_DEPENDENT
EASY = NatBehaviour(Mapping.ENDPOINT_INDEPENDENT, APD)
HARD = NatBehaviour(Mapping.ADDRESS_AND_PORT_DEPENDENT, APD)
COUNTING = NatBehaviour(Mapping.ADDRESS_AND_PORT_DEPENDENT, APD, step=1)


def calling(
    own_nat: NatBehaviour = EASY,
    peer_nat: NatBehaviour = EASY,
    candidates: tuple[Candidate, ...] | list[Candidate] = CANDIDATES,
) -> Puncher:
    puncher = Puncher(OWN, entropy=SeededEntropy(1), ids=OpenIds())
    call(puncher, own_nat=own_nat, peer_nat=peer_nat, candidates=candidates)
    return puncher


def call(
    puncher: Puncher,
    *,
    peer: PeerID = PEER,
    token: bytes = TOKEN,
    candidates: tuple[Candidate, ...] | list[Candidate] = CANDIDATES,
    own_nat: NatBehaviour = EASY,
    peer_nat: NatBehaviour = EASY,
    now: float = 0.0,
) -> None:
    puncher.start(peer, token, candidates, own_nat=own_nat, peer_nat=peer_nat, now=now)


def wanting() -> Puncher:
    """Has asked for ports."""
    puncher = calling(own_nat=HARD, peer_nat=EASY)
    puncher.handle_timeout(SPRAY_AFTER_S)
    assert PortsWanted(PEER, MAX_SOCKETS) in drained(puncher)
    return puncher


def holding(count: int) -> Puncher:
    puncher = wanting()
    puncher.ports_opened(PEER, range(1, count + 1), SPRAY_AFTER_S)
    return puncher


def keys_of_peer(token: bytes = TOKEN, peer: PeerID = PEER) -> ProbeKeys:
    return punch_keys(token, peer, OWN)


def probe_of_peer(sent_at_us: int, token: bytes = TOKEN, peer: PeerID = PEER) -> bytes:
    keys = keys_of_peer(token, peer)
    return ProbeDatagram(keys.tag, bytes(16), sent_at_us).encode(keys)


def reply_of_peer(probe: Transmit, token: bytes = TOKEN, peer: PeerID = PEER) -> bytes:
    asked = ProbeDatagram.decode(probe.payload)
    return ProbeDatagram(asked.tag, asked.txid, asked.sent_at_us, ELSEWHERE).encode(keys_of_peer(token, peer))


def answer(puncher: Puncher, probe: Transmit, *, now: float) -> None:
    assert probe.via is not None  # each probe names its port: that of an earlier punch may lead there as well
    puncher.receive_datagram(reply_of_peer(probe), probe.destination, probe.via, now)


def transmits(puncher: Puncher) -> list[Transmit]:
    return [output for output in drained(puncher) if isinstance(output, Transmit)]


def drained(puncher: Puncher) -> list[PuncherOutput]:
    outputs = []
    while (output := puncher.poll()) is not None:
        outputs.append(output)
    return outputs
