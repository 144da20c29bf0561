"""How two nodes behind NATs open a path between them: what each side does, from what both know of both NATs.

Spec: docs/spec/paths.md, section 6. Both sides come to matching roles, because both see the same two behaviours.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from shadowmesh.paths.nat_behaviour import Mapping, NatBehaviour, PortRange
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy

# Of 64,512 ports 256 sockets and 1,024 probes meet with 98.3 % (a hypergeometric draw). More would flood a home
# router's table.
MAX_SPRAY_PROBES = 1024
MAX_SOCKETS = 256
# Out of a block of at most 8,192 ports 64 sockets and 1,024 probes meet with more than 99.9 %.
BLOCK_SOCKETS = 64
# Behind a NAT that counts the first fresh port would do: half of what is predicted leaves room for what others take.
COUNTED_SOCKETS = 8
PREDICTING_SOCKETS = 2  # each sends to all that is predicted
BLOCK_SHARE = 10  # at most a tenth of a block: it is all that this subscriber has
# A predicted port may have been taken by somebody else behind the same NAT, and our own probes to other candidates
# take one each.
PREDICTED_PORTS = 16


class Role(Enum):
    """What one side does besides sending to the candidates that it was told. The text is for people."""

    PLAIN = "both send to the addresses that they were told"
    PREDICT = "we guess the peer's next ports, which its router counts up"
    AWAIT_PREDICTION = "the peer guesses our next ports, which our router counts up"
    SPRAY = "we try ports of the peer's router at random, while the peer holds many open"
    HOLD_PORTS = "we hold many ports open, while the peer tries them at random"
    NONE = "both routers choose another port for each peer, at random"

    @property
    def is_by_chance(self) -> bool:
        """Whether another try may find what this one did not."""
        return self not in (Role.PLAIN, Role.NONE)


def choose_role(own: NatBehaviour, peer: NatBehaviour) -> Role:
    if Mapping.UNKNOWN in (own.mapping, peer.mapping):
        return Role.PLAIN  # guessing ports takes two who know what they do: often the one lets no UDP out at all
    match own.is_hard, peer.is_hard:
        case False, False:
            return Role.PLAIN
        case True, True:
            return Role.PREDICT if own.is_predictable and peer.is_predictable else Role.NONE
        case False, True:
            return Role.PREDICT if peer.is_predictable else Role.SPRAY
        case _:
            return Role.AWAIT_PREDICTION if own.is_predictable else Role.HOLD_PORTS


def holds_ports(role: Role, own: NatBehaviour) -> bool:
    """Whether further ports send as well: where many are to be tried, or the main port may have an old mapping.

    A NAT that has another mapping for each port of the peer has no old one where the peer is foretold to be.
    """
    if role is Role.PREDICT:
        return own.mapping is Mapping.ADDRESS_DEPENDENT
    return role in (Role.HOLD_PORTS, Role.AWAIT_PREDICTION)


def sockets_to_hold(role: Role, own: NatBehaviour) -> int:
    if role is Role.PREDICT:
        return PREDICTING_SOCKETS
    if own.is_predictable:
        return COUNTED_SOCKETS
    if own.block is None:
        return MAX_SOCKETS
    return max(1, min(BLOCK_SOCKETS, len(own.block) // BLOCK_SHARE))


def predicted(last: Endpoint, step: int) -> list[Endpoint]:
    """The outside ports that come after `last`, nearest first."""
    ports = (last.port + step * number for number in range(1, PREDICTED_PORTS + 1))
    return [Endpoint(last.address, port) for port in ports if 0 < port < 65536]


def random_ports(ports: PortRange, count: int, entropy: Entropy) -> Iterator[int]:
    """`count` of them, or all, each once: the first steps of a Fisher-Yates shuffle."""
    moved: dict[int, int] = {}
    for drawn in range(min(count, len(ports))):
        left = len(ports) - drawn
        at = drawn + int.from_bytes(entropy(4), "big") % left
        yield ports.first + moved.get(at, at)
        moved[at] = moved.pop(drawn, drawn)
