"""What a handshake costs each side, and what it costs to refuse one, as CPU time on one core.

    python -m bench.session --repeat 5

What is compared in the same run: to refuse a message, with what its sender spends on it at least (a mac1, or the
sendto of its datagrams on loopback: a flooder sends prepared bytes); each step of a handshake, with one ML-DSA-87
signature, which nobody can avoid who proves a key.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bench.figures import Figure, Layout, run

from shadowmesh.identity.keys import Identity
from shadowmesh.records.peer_record import PeerRecord, SignedRecord
from shadowmesh.session import keys
from shadowmesh.session.fragments import CID_BYTES, cut
from shadowmesh.session.handshaker import Handshaker
from shadowmesh.session.kem import KEM_SEED_BYTES, DecapsulationKey
from shadowmesh.session.limits import HALF_OPEN_S, LOAD_RATE
from shadowmesh.session.messages import M1_BYTES, M3_BYTES, MAC2_BYTES, NONCE_BYTES, Message1
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.transmit import Transmit

ROUNDS = 100
BOB_AT = Endpoint.of("198.18.0.2", 41641)
Flight = Sequence[bytes]


class Node:
    def __init__(self) -> None:
        self.identity = Identity(os.urandom(32))
        self.record = _record(self.identity)
        self.now = 0.0
        self.handshaker = Handshaker(self.identity, self.record, entropy=os.urandom, wall_clock=time.time, now=self.now)

    def receive(self, flight: Flight, source: Endpoint) -> Flight:
        """What it answers."""
        for datagram in flight:
            self.handshaker.receive_datagram(datagram, source, self.now)
        return self.drain()

    def drain(self) -> Flight:
        outputs = iter(self.handshaker.poll, None)
        return [output.payload for output in outputs if isinstance(output, Transmit)]

    def connect(self, other: "Node") -> Flight:
        self.handshaker.connect(other.record, [BOB_AT], self.now)
        return self.drain()

    def pass_time(self) -> None:
        """Until no handshake is half-open, and no load is counted."""
        self.now += HALF_OPEN_S + 1
        self.handshaker.handle_timeout(self.now)
        self.drain()


def measure(repeat: int) -> list[Figure]:
    runs = [measure_once() for _ in range(repeat)]
    figures = runs[0]
    for once in runs[1:]:
        for figure, again in zip(figures, once, strict=True):
            figure.add(*again.ours, *again.theirs)
    return figures


def measure_once() -> list[Figure]:
    """One run of everything, each figure from ROUNDS flights."""
    bob, signer = Node(), Identity(os.urandom(32))
    send1, send4 = _sendto_us([bytes(1232)] * 2), _sendto_us([bytes(1232)] * 4)
    sign = _us(lambda: signer.sign(b"message", context=b"bench"), ROUNDS)
    flights = _good_message1(bob)
    build = _us(lambda: next(flights), ROUNDS)
    figures = [
        _figure("refuse garbage", "sendto", _each(bob, [[os.urandom(1232)] * 2 for _ in range(ROUNDS)]), send1),
        _figure("refuse half of M1", "sendto of both", _each(bob, [f[:1] for f in _take(_good_message1(bob))]), send1),
        _figure("refuse M1 with a wrong mac1", "sendto", _each(bob, _take(_bad_message1())), send1),
        _figure("refuse M1 under load: cookie reply", "mac1 and sendto", _under_load(bob), build + send1),
        _figure(
            "refuse M3 of an unknown cid", "sendto", _each(bob, [_forged_message3() for _ in range(ROUNDS)]), send4
        ),
    ]
    return figures + [_figure(what, "signature", us, sign) for what, us in _handshake_us().items()]


def _figure(what: str, compared_with: str, ours_us: float, theirs_us: float) -> Figure:
    return Figure(what, "us", compared_with, [ours_us], [theirs_us])


def _each(node: Node, flights: Sequence[Flight]) -> float:
    """Microseconds a flight, each from a network of its own."""
    sources = [_source(number) for number in range(len(flights))]
    began = time.process_time()
    for flight, source in zip(flights, sources, strict=True):
        node.receive(flight, source)
    return (time.process_time() - began) / len(flights) * 1e6


def _under_load(node: Node) -> float:
    node.pass_time()
    _each(node, _take(_good_message1(node), int(2 * LOAD_RATE)))
    us = _each(node, _take(_good_message1(node)))
    node.pass_time()
    return us


def _handshake_us() -> dict[str, float]:
    """CPU time of each step between two nodes that know each other, without fragments lost."""
    spent = dict.fromkeys(("begin: M1", "answer M1: M2", "answer M2: M3", "answer M3: M4", "take M4"), 0.0)
    for number in range(ROUNDS):
        alice, bob, source = Node(), Node(), _source(number)
        alice.handshaker.allow(bob.identity.fingerprint, bob.record)
        bob.handshaker.allow(alice.identity.fingerprint, None)
        flight: Flight = []
        steps: list[Callable[[Flight], Flight]] = [
            partial(_begin, alice, bob),
            partial(bob.receive, source=source),
            partial(alice.receive, source=BOB_AT),
            partial(bob.receive, source=source),
            partial(alice.receive, source=BOB_AT),
        ]
        for name, step in zip(spent, steps, strict=True):
            began = time.process_time()
            flight = step(flight)
            spent[name] += time.process_time() - began
    return {name: seconds / ROUNDS * 1e6 for name, seconds in spent.items()}


def _begin(alice: Node, bob: Node, _: Flight) -> Flight:
    return alice.connect(bob)


def _good_message1(responder: Node) -> Iterator[Flight]:
    """As a flooder makes them who knows the responder's key: one ML-KEM key for all."""
    encapsulation_key = DecapsulationKey(os.urandom(KEM_SEED_BYTES)).encapsulation_key
    while True:
        cid = os.urandom(CID_BYTES)
        bound = Message1.bound(cid, os.urandom(NONCE_BYTES), encapsulation_key, keys.SUITE)
        yield cut(1, cid, bound + keys.mac1(responder.identity.public, bound) + bytes(MAC2_BYTES)).datagrams


def _bad_message1() -> Iterator[Flight]:
    head = bytes(CID_BYTES + NONCE_BYTES)
    while True:
        key = os.urandom(1568)
        yield cut(1, bytes(CID_BYTES), head + key + b"\0\1" + bytes(M1_BYTES - len(head) - len(key) - 2)).datagrams


def _forged_message3() -> Flight:
    return cut(3, os.urandom(CID_BYTES), bytes(M3_BYTES)).datagrams


def _take(flights: Iterator[Flight], count: int = ROUNDS) -> list[Flight]:
    return [next(flights) for _ in range(count)]


def _sendto_us(flight: Flight) -> float:
    """CPU time of handing the flight to the kernel, loopback, nobody listening on a full queue."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far,
    ):
        far.bind(("127.0.0.1", 0))
        address = far.getsockname()
        return _us(lambda: [near.sendto(datagram, address) for datagram in flight], 20 * ROUNDS)


def _us(act: Callable[[], object], count: int) -> float:
    began = time.process_time()
    for _ in range(count):
        act()
    return (time.process_time() - began) / count * 1e6


def _source(number: int) -> Endpoint:
    return Endpoint.of(f"198.19.{number % 250}.1", 1024 + number)


def _record(identity: Identity) -> SignedRecord:
    return PeerRecord(identity.public, 1, int(time.time()), 86400, os.urandom(32)).sign(identity)


def main() -> None:
    run(__doc__.splitlines()[0], measure, Layout(what=38, ours=8, unit=3, spread=14, digits=0))


if __name__ == "__main__":
    main()
