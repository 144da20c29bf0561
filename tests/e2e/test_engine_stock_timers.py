"""The timers of the engine and those of a stock WireGuard device suit each other."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, contextmanager
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from shadowmesh._engine import PeerHandshake

from .engine_lab import FAR, NEAR, until
from .paced_traffic import Datagrams, Stream
from .stock_lab import Pair, Side, pair
from .wire_tap import HANDSHAKE, KEEPALIVE_BYTES, Kind, Tap, Tapped

pytestmark = pytest.mark.privileged

REKEY_AFTER_S = 120
LATE_S = 10  # after a deadline of the protocol, on a busy machine
STEP_S = 0.005


@dataclass(slots=True)
class Loaded:
    """A pair under traffic in both directions, as one looks at it again and again."""

    initiator: Side
    pair: Pair
    tap: Tap
    flows: Sequence[Datagrams]
    stream: Stream
    handshake_at: int
    handshakes: int = 0

    def step(self) -> None:
        for flow in (*self.flows, self.stream):
            flow.step()
        self.handshakes += sum(isinstance(event, PeerHandshake) for event in self.pair.engine.drain())

    def initiators(self) -> list[tuple[str, int]]:
        """Who has sent the initiations since the tap was opened."""
        return [message.source for message in self.tap.seen(Kind.INITIATION)]


@contextmanager
def loaded(initiator: Side) -> Iterator[Loaded]:
    with pair() as p, Tap(p.far, HANDSHAKE) as tap, ExitStack() as stack:
        p.connect(initiator)
        flows = [
            Datagrams.open(stack, p.near, p.far, FAR.ipv4),
            Datagrams.open(stack, p.far, p.near, NEAR.ipv4),
        ]
        stream = Stream.open(stack, p.near, p.far, FAR.ipv4)
        yield Loaded(initiator, p, tap, flows, stream, p.stock.handshake_at(p.engine.public_key))


@pytest.mark.slow("WireGuard's REKEY_AFTER_TIME is 120 s; both roles wait for it at the same time")
def test_a_rekey_under_load_loses_nothing_whoever_is_the_initiator() -> None:
    with loaded(Side.OURS) as first, loaded(Side.THEIRS) as second:
        both = (first, second)
        step_until(lambda: all(each.handshakes for each in both), both, REKEY_AFTER_S + LATE_S)
        step_until(after(2.0), both, LATE_S)
        for each in both:
            p = each.pair
            until(lambda each=each: not any(flow.lost() for flow in each.flows) and each.stream.has_all())
            assert p.stock.handshake_at(p.engine.public_key) >= each.handshake_at + REKEY_AFTER_S - 1
            assert each.handshakes == 1
            initiator = p.ours_at() if each.initiator is Side.OURS else p.theirs_at()
            assert each.initiators() == 2 * [initiator]


def step_until(condition: Callable[[], bool], stepped: Sequence[Loaded | Datagrams], timeout_s: float) -> None:
    def has_come() -> bool:
        for each in stepped:
            each.step()
        return condition()

    until(has_come, timeout_s, STEP_S)


def after(duration_s: float) -> Callable[[], bool]:
    at = time.monotonic() + duration_s
    return lambda: time.monotonic() >= at


@pytest.mark.slow("who sends data and hears nothing for 15 s makes a new handshake; that must not come")
def test_traffic_in_one_direction_is_acknowledged_by_keepalives_and_needs_no_new_handshake() -> None:
    with pair() as receiving, pair() as sending, Tap(receiving.far) as tap, Tap(sending.far) as other, ExitStack() as stack:
        ...
