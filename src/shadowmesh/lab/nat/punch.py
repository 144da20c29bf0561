"""Tries to join pairs of hosts by plain simultaneous sending: the simplest client that can be, to judge others by.

Each party learns from an observer how its socket looks from outside and announces that to the other; both then send
to what was announced. A datagram that arrives is answered to where it came from. Nothing of ShadowMesh takes part.
"""

import secrets
import select
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from shadowmesh.lab.nat.observer import Endpoint, OpenSocket, bound, endpoint

ROUNDS = 6  # the first may be refused where it comes before the peer's own has opened the way
ROUND_S = 0.05
_ANNOUNCED_S = 1.0  # what no observer has seen by then has no UDP
_NONCE_BYTES = 16
_ASK, _ANSWER = b"?", b"!"


@dataclass(frozen=True, slots=True)
class Party:
    """A host that takes part: how to open a socket on it, and where."""

    opener: OpenSocket
    address: str
    map_port: Callable[[socket.socket], Endpoint] | None = None  # what it announces instead of what observers see


def punch(pairs: Sequence[tuple[Party, Party]], observer: socket.socket, *, learn_sources: bool = True) -> list[bool]:
    """Whether each pair was joined: a datagram went there and its answer came back. All pairs at once.

    With `learn_sources=False` nothing is accepted that does not come from the announced endpoint.
    """
    with ExitStack() as stack:
        sides = [_Side(stack.enter_context(bound(party.opener, party.address))) for pair in pairs for party in pair]
        parties = [party for pair in pairs for party in pair]
        _announce(sides, parties, observer)
        couples = list(zip(sides[::2], sides[1::2], strict=True))
        for one, other in couples:
            one.meet(other)
        _run([side for side in sides if side.peer is not None], learn_sources=learn_sources)
        return [one.joined or other.joined for one, other in couples]


@dataclass(slots=True, eq=False)
class _Side:
    socket: socket.socket
    announced: Endpoint | None = None
    peer: Endpoint | None = None  # as announced
    nonce: bytes = b""  # of the pair
    targets: list[Endpoint] = field(default_factory=list)
    joined: bool = False

    def meet(self, other: "_Side") -> None:
        if self.announced is None or other.announced is None:
            return
        self.nonce = other.nonce = secrets.token_bytes(_NONCE_BYTES)
        for side, peer in ((self, other), (other, self)):
            side.peer = peer.announced
            side.targets = [peer.announced] if peer.announced else []

    def send(self) -> None:
        for target in self.targets:
            self.socket.sendto(_ASK + self.nonce, target)

    def receive(self, *, learn_sources: bool) -> None:
        data, (address, port, *_) = self.socket.recvfrom(_NONCE_BYTES + 1)
        source = (address, port)
        if data[1:] != self.nonce or not (learn_sources or source == self.peer):
            return
        if data[:1] == _ANSWER:
            self.joined = True
            return
        self.socket.sendto(_ANSWER + self.nonce, source)
        if source not in self.targets:
            self.targets.append(source)


def _announce(sides: Sequence[_Side], parties: Sequence[Party], observer: socket.socket) -> None:
    waiting = {}
    for side, party in zip(sides, parties, strict=True):
        if party.map_port is not None:
            side.announced = party.map_port(side.socket)
        else:
            nonce = secrets.token_bytes(_NONCE_BYTES)
            waiting[nonce] = side
            side.socket.sendto(nonce, endpoint(observer))
    deadline = time.monotonic() + _ANNOUNCED_S
    while waiting and select.select([observer], [], [], max(0.0, deadline - time.monotonic()))[0]:
        data, (address, port, *_) = observer.recvfrom(_NONCE_BYTES)
        if (seen := waiting.pop(data, None)) is not None:
            seen.announced = (address, port)


def _run(sides: Sequence[_Side], *, learn_sources: bool) -> None:
    with selectors.DefaultSelector() as selector:  # not select: a grid has more sockets than that takes
        for side in sides:
            selector.register(side.socket, selectors.EVENT_READ, side)
        for _ in range(ROUNDS):
            for side in sides:
                side.send()
            ends_at = time.monotonic() + ROUND_S
            while ready := selector.select(max(0.0, ends_at - time.monotonic())):
                for key, _events in ready:
                    key.data.receive(learn_sources=learn_sources)
