"""Which two hosts can talk directly over UDP, and what it takes, derived from how their NATs behave. Pure.

The terms are those of RFC 4787: *mapping* says when a socket's outside endpoint changes, *filtering* says who may
send to it. Both hosts know each other's outside endpoint as an observer saw it, and both send to it at once.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum


class Dependence(IntEnum):
    """On what of the remote endpoint a mapping or a filter depends. Ordered: the later, the harder."""

    ENDPOINT_INDEPENDENT = 0
    ADDRESS_DEPENDENT = 1
    ADDRESS_AND_PORT_DEPENDENT = 2


class Ports(IntEnum):
    """Which outside port a new mapping gets. Ordered: the later, the harder to foretell."""

    PRESERVED = 0  # the inside port, as long as it is free
    SEQUENTIAL = 1  # the one after that of the mapping before
    RANDOM = 2


class Method(Enum):
    """The least that joins two hosts directly."""

    PLAIN = "both send to the announced endpoint, and both are heard from theirs"
    SOURCE_LEARNING = "one must answer the source that it sees, not the one announced"
    PREDICTION = "the next outside port must be foretold"
    BIRTHDAY = "one opens many mappings, the other tries many ports"
    NEVER = "only a relay joins them"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What lies between a host and the internet. The default is nothing at all."""

    mapping: Dependence = Dependence.ENDPOINT_INDEPENDENT
    filtering: Dependence = Dependence.ENDPOINT_INDEPENDENT
    ports: Ports = Ports.PRESERVED
    udp: bool = True  # False: no UDP passes
    filtered_mapping: Dependence | None = None  # as far as the outermost filter; None: all of it

    def behind(self, outer: "Behaviour") -> "Behaviour":
        """This and another NAT in a row, as a home's router and its carrier: the harder mapping and filtering.

        The outer one chooses the ports that others see, unless it keeps the inner one's.
        """
        mapping = max(self.mapping, outer.mapping)
        filtered = self._filtered_mapping if outer.filtering == Dependence.ENDPOINT_INDEPENDENT else mapping
        return Behaviour(
            mapping,
            max(self.filtering, outer.filtering),
            self.ports if outer.ports is Ports.PRESERVED else outer.ports,
            self.udp and outer.udp,
            None if filtered == mapping else filtered,
        )

    @property
    def lets_in_unannounced(self) -> bool:
        """Whether somebody, at an address that we have sent to, reaches our announced endpoint from another port."""
        # A filter looks at the mapping that a datagram came to. Only where that is one for all has it been used to send
        # to the peer's address; and to the port that the peer now uses nothing was sent, which only a stable one has.
        if self.filtering == Dependence.ADDRESS_DEPENDENT:
            return self._filtered_mapping == Dependence.ENDPOINT_INDEPENDENT
        return self.filtering == Dependence.ENDPOINT_INDEPENDENT

    @property
    def _filtered_mapping(self) -> Dependence:
        return self.mapping if self.filtered_mapping is None else self.filtered_mapping


def method(a: Behaviour, b: Behaviour) -> Method:
    """What it takes to join the two. Symmetric in its arguments."""
    if not (a.udp and b.udp):
        return Method.NEVER
    if _stable(a) and _stable(b):
        return Method.PLAIN
    if _reaches_and_hears(a, b) or _reaches_and_hears(b, a):
        return Method.SOURCE_LEARNING
    if all(_stable(side) or side.ports < Ports.RANDOM for side in (a, b)):
        return Method.PREDICTION
    # Two hard sides would have to try each other's ports at once: 2^16 mappings each for an even chance.
    return Method.BIRTHDAY if _stable(a) or _stable(b) else Method.NEVER


def punches(a: Behaviour, b: Behaviour) -> bool:
    """Whether simultaneous sending and answering alone, without guessing any port, joins the two."""
    return method(a, b) in (Method.PLAIN, Method.SOURCE_LEARNING)


def _stable(side: Behaviour) -> bool:
    """Whether the endpoint that an observer saw is also the one that the peer will see."""
    return side.mapping == Dependence.ENDPOINT_INDEPENDENT


def _reaches_and_hears(sender: Behaviour, receiver: Behaviour) -> bool:
    """Whether a datagram to the receiver's announced endpoint arrives, and the answer to its source too.

    Of a pair that is not stable on both sides.
    """
    return receiver.lets_in_unannounced and _answer_arrives(sender, receiver)


def _answer_arrives(sender: Behaviour, receiver: Behaviour) -> bool:
    # From a stable receiver the answer comes from where the sender sent to; else from another port there.
    return _stable(receiver) or sender.filtering <= Dependence.ADDRESS_DEPENDENT
