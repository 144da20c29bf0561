"""What a call carries of addresses and NATs, the roles that follow, and the probes of a punch."""

from __future__ import annotations

from itertools import product

from people import Case

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.nat_behaviour import Filtering, Mapping, NatBehaviour, PortRange
from shadowmesh.paths.probe_datagram import ProbeDatagram
from shadowmesh.paths.punch_plan import Role, choose_role, sockets_to_hold
from shadowmesh.paths.puncher import punch_keys
from shadowmesh.wire.endpoint import Endpoint

# The one that sends has the higher PeerID: keys are derived from both in order.
SENDER, RECEIVER = PeerID(bytes(range(100, 120))), PeerID(bytes(range(20)))
TOKEN, TXID = bytes(range(16)), bytes(range(0x30, 0x40))
IPV4, IPV6 = Endpoint.of("203.0.113.5", 41641), Endpoint.of("2001:db8::1", 443)
APD = Filtering.ADDRESS_AND_PORT_DEPENDENT
HARD = Mapping.ADDRESS_AND_PORT_DEPENDENT
KINDS_OF_NAT = {
    "unknown": NatBehaviour(),
    "none": NatBehaviour(Mapping.NONE, APD),
    "easy": NatBehaviour(Mapping.ENDPOINT_INDEPENDENT, APD),
    "counting": NatBehaviour(HARD, Filtering.UNKNOWN, step=1),
    "counting down, by address": NatBehaviour(Mapping.ADDRESS_DEPENDENT, Filtering.UNKNOWN, step=-2),
    "random": NatBehaviour(HARD, APD),
    "random by address, from a block": NatBehaviour(Mapping.ADDRESS_DEPENDENT, APD, 0, PortRange(20000, 20511)),
    "random from a tiny block": NatBehaviour(HARD, APD, 0, PortRange(65535, 65535)),
}


def punching_vectors() -> Case:
    probe = ProbeDatagram(punch_keys(TOKEN, SENDER, RECEIVER).tag, TXID, 1_000_000)
    reply = ProbeDatagram(probe.tag, TXID, 1_000_000, IPV4)
    return {
        "comment": "docs/spec/paths.md, sections 2, 4 and 6; bytes in hex. A kind of another number means 0, unknown.",
        "candidates": [candidate(Candidate(*each)) for each in product(list(CandidateKind)[:3], (IPV4, IPV6))],
        "candidates_refused": candidates_refused(),
        "nat_behaviours": [nat_behaviour(name, behaviour) for name, behaviour in KINDS_OF_NAT.items()],
        "nat_behaviours_refused": nat_behaviours_refused(),
        "nat_behaviours_unknown": ["0500000000000000", "ff04000000000000", "0009000000000000"],
        "roles": [roles(own, peer) for own, peer in product(KINDS_OF_NAT, KINDS_OF_NAT)],
        "probe": {
            "token": TOKEN.hex(),
            "sender": SENDER.raw.hex(),
            "receiver": RECEIVER.raw.hex(),
            "tag": probe.tag.hex(),
            "probe": probe.encode(punch_keys(TOKEN, SENDER, RECEIVER)).hex(),
            "reply": reply.encode(punch_keys(TOKEN, RECEIVER, SENDER)).hex(),
        },
    }


def candidate(value: Candidate) -> Case:
    return {"candidate": value.encode().hex(), "kind": value.kind, "endpoint": str(value.endpoint)}


def candidates_refused() -> list[Case]:
    good = Candidate(CandidateKind.HOST, IPV4).encode()
    return [
        {"name": "kind 0", "candidate": (b"\0" + good[1:]).hex()},
        {"name": "kind 4, which is never sent", "candidate": (b"\4" + good[1:]).hex()},
        {"name": "port 0", "candidate": (good[:17] + b"\0\0").hex()},
        {"name": "one byte short", "candidate": good[:-1].hex()},
        {"name": "one byte long", "candidate": (good + b"\0").hex()},
    ]


def nat_behaviour(name: str, value: NatBehaviour) -> Case:
    return {
        "name": name,
        "nat": value.encode().hex(),
        "mapping": value.mapping,
        "filtering": value.filtering,
        "step": value.step,
        "block": None if value.block is None else [value.block.first, value.block.last],
        "sockets": sockets_to_hold(Role.HOLD_PORTS, value),
    }


def nat_behaviours_refused() -> list[Case]:
    return [
        {"name": "a block that ends before it begins", "nat": "0403000013891388"},
        {"name": "a block that begins at port 0", "nat": "0403000000001388"},
        {"name": "a block that ends at port 0", "nat": "0403000013880000"},
        {"name": "one byte short", "nat": "02030000000000"},
        {"name": "one byte long", "nat": "020300000000000000"},
    ]


def roles(own: str, peer: str) -> Case:
    role = choose_role(KINDS_OF_NAT[own], KINDS_OF_NAT[peer])
    return {"own": own, "peer": peer, "role": role.name}
