"""What a handshake costs each side, as CPU time on one core.

    python -m bench.session --repeat 5

Each step is compared with one ML-DSA-87 signature in the same run, which nobody can avoid who proves a key.
"""

import os
import time
from collections.abc import Callable, Sequence
from functools import partial

from bench.figures import Figure, Layout, run

from shadowmesh.identity.keys import Identity
from shadowmesh.records.peer_record import PeerRecord, SignedRecord
from shadowmesh.session.handshaker import Handshaker
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

ROUNDS = 100
BOB_AT = Endpoint.of("198.18.0.2", 41641)
Flight = Sequence[bytes]


class Node:
    def __init__(self) -> None:
        self.identity = Identity(os.urandom(32))
        self.record = _record(self.identity)
        self.now = 0.0
        self.handshaker = Handshaker(
            self.identity, self.record, entropy=os.urandom, wall_clock=time.time, now=self.now, ids=OpenIds()
        )

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


def measure(repeat: int) -> list[Figure]:
    runs = [measure_once() for _ in range(repeat)]
    figures = runs[0]
    for once in runs[1:]:
        for figure, again in zip(figures, once, strict=True):
            figure.add(*again.ours, *again.theirs)
    return figures


def measure_once() -> list[Figure]:
    """One run of everything, each figure from ROUNDS handshakes."""
    signer = Identity(os.urandom(32))
    sign = _us(lambda: signer.sign(b"message", context=b"bench"), ROUNDS)
    return [Figure(what, "us", "signature", [us], [sign]) for what, us in _handshake_us().items()]


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
