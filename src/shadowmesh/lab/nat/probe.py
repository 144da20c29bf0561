"""Finds out how a host is translated and filtered, by UDP sockets alone (RFC 5780, with nothing of STUN).

It shares no code with what ShadowMesh itself does about NATs, nor with the rules of the lab: it is there to judge both.
"""

import itertools
import secrets
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from shadowmesh.lab.nat.observer import Endpoint, Observers, OpenSocket, bound, endpoint, receive, receive_until
from shadowmesh.lab.nat.theory import Dependence

ARRIVES_S = 1.0  # within the lab a datagram takes less than a millisecond; a busy machine may take longer
REFUSED_S = 0.3  # what has not arrived by then never will; longer than a busy machine holds one back


@dataclass(frozen=True, slots=True)
class Observation:
    """What a host looks like from outside."""

    mapping: Dependence
    filtering: Dependence
    local: Endpoint
    seen: tuple[Endpoint, ...]  # by each observer socket in turn

    @property
    def translated(self) -> bool:
        return self.seen[0] != self.local

    @property
    def port_preserved(self) -> bool:
        return all(port == self.local[1] for _, port in self.seen)

    @property
    def port_deltas(self) -> tuple[int, ...]:
        """From each outside port to that of the next mapping."""
        ports = [port for _, port in self.seen]
        return tuple(after - before for before, after in itertools.pairwise(ports))


def observe(opener: OpenSocket, address: str, observers: Observers) -> Observation | None:
    """Looks at a host by its socket opener and address; None where no UDP comes through."""
    with bound(opener, address) as mapping, bound(opener, address) as filtering:
        seen: list[Endpoint] = []
        for place, port in ((0, 0), (0, 1), (1, 0), (1, 1)):
            source = _seen(mapping, observers.at(place, port))
            if source is None:
                return None
            seen.append(source)
        return Observation(_mapping(seen), _filtering(filtering, observers), endpoint(mapping), tuple(seen))


def hairpins(opener: OpenSocket, address: str, other: OpenSocket, other_address: str, observers: Observers) -> bool:
    """Whether one host reaches another one inside by its outside endpoint, and appears there by its own."""
    with bound(opener, address) as sender, bound(other, other_address) as receiver:
        source, target = _seen(sender, observers.at(0, 0)), _seen(receiver, observers.at(0, 0))
        if source is None or target is None:
            return False
        nonce = secrets.token_bytes(16)
        # The receiver opens its filter, so that it is the turning alone that is tried.
        receiver.sendto(b"", source)
        sender.sendto(nonce, target)
        return receive(receiver, nonce, REFUSED_S) == source


def lifetime_s(opener: OpenSocket, address: str, observers: Observers, idle_s: Sequence[float]) -> float:
    """The longest of the idle times after which a mapping that was used once still lets an answer in; 0 if none."""
    observer = observers.at(0, 0)
    longest = 0.0
    with ExitStack() as stack:
        sockets = [stack.enter_context(bound(opener, address)) for _ in idle_s]
        seen = [_seen(inside, observer) for inside in sockets]
        began_at = time.monotonic()
        for wait_s, inside, outside in sorted(zip(idle_s, sockets, seen, strict=True), key=lambda row: row[0]):
            time.sleep(max(0.0, began_at + wait_s - time.monotonic()))
            if outside is not None and _lets_in(inside, observer, outside):
                longest = wait_s
    return longest


def _lets_in(inside: socket.socket, observer: socket.socket, outside: Endpoint) -> bool:
    nonce = secrets.token_bytes(16)
    observer.sendto(nonce, outside)
    return receive(inside, nonce, REFUSED_S) is not None


def _seen(sender: socket.socket, observer: socket.socket) -> Endpoint | None:
    nonce = secrets.token_bytes(16)
    sender.sendto(nonce, endpoint(observer))
    return receive(observer, nonce, ARRIVES_S)


def _mapping(seen: Sequence[Endpoint]) -> Dependence:
    (first, first_other_port, second, second_other_port) = seen
    if first == first_other_port and second == second_other_port:
        return Dependence.ENDPOINT_INDEPENDENT if first == second else Dependence.ADDRESS_DEPENDENT
    return Dependence.ADDRESS_AND_PORT_DEPENDENT


def _filtering(inside: socket.socket, observers: Observers) -> Dependence:
    """The host sends to one observer socket alone. Who else gets through?"""
    known = observers.at(0, 0)
    outside = _seen(inside, known)
    if outside is None:
        return Dependence.ADDRESS_AND_PORT_DEPENDENT
    nonces = [secrets.token_bytes(16) for _ in range(3)]
    # In this order: once the known one is heard, the others have arrived or never will.
    for observer, nonce in zip((observers.at(1, 0), observers.at(0, 1), known), nonces, strict=True):
        observer.sendto(nonce, outside)
    arrived = receive_until(inside, nonces[2], ARRIVES_S)
    if nonces[0] in arrived:
        return Dependence.ENDPOINT_INDEPENDENT
    return Dependence.ADDRESS_DEPENDENT if nonces[1] in arrived else Dependence.ADDRESS_AND_PORT_DEPENDENT
