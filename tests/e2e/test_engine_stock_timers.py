"""The timers of the engine and those of a stock WireGuard device suit each other, whoever is the initiator."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from shadowmesh._engine import PeerHandshake

from .engine_lab import FAR, NEAR, until
from .paced_traffic import Datagrams, Stream
from .stock_lab import Pair, Side, pair
from .wire_tap import Endpoint, Kind, Tap

REKEY_AFTER_TIME_S = 120
KEEPALIVE_TIMEOUT_S = 10
PERSISTENT_KEEPALIVE_S = 5
LATE_S = 10  # of a busy machine
STEP_S = 0.005
DELAY_MS = 4 * STEP_S * 1000  # four datagrams

pytestmark = [
    pytest.mark.privileged,
    pytest.mark.slow("REKEY_AFTER_TIME is 120 s; all pairs wait for it together"),
    pytest.mark.parametrize("initiator", Side),
]


@dataclass(slots=True)
class Watched:
    """A pair with a session, at which one looks again and again."""

    pair: Pair
    tap: Tap
    handshake_at: int
    flows: Sequence[Datagrams | Stream] = ()
    handshakes: int = 0

    def step(self) -> None:
        for flow in self.flows:
            flow.step()
        self.tap.all()
        self.handshakes += sum(isinstance(event, PeerHandshake) for event in self.pair.engine.drain())

    def at(self, side: Side) -> Endpoint:
        return self.pair.ours_at() if side is Side.OURS else self.pair.theirs_at()

    def keepalives_of(self, side: Side) -> int:
        return sum(message.is_keepalive for message in self.tap.seen(Kind.DATA, self.at(side)))

    def assert_rekeyed_by(self, side: Side) -> None:
        """Once, and the other one has not tried."""
        p = self.pair
        assert self.handshakes == 1
        assert p.stock.handshake_at(p.engine.public_key) >= self.handshake_at + REKEY_AFTER_TIME_S - 1
        assert [message.source for message in self.tap.seen(Kind.INITIATION)] == [self.at(side)]


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """Pairs after the first rekey of each, by who made the handshakes."""

    loaded: dict[Side, Watched] = field(default_factory=dict)
    one_way: dict[Side, Watched] = field(default_factory=dict)
    idle: dict[Side, Watched] = field(default_factory=dict)


@pytest.fixture(scope="module")
def rekeyed() -> Iterator[Rekeyed]:
    with ExitStack() as stack:
        pairs = Rekeyed()
        for side in Side:
            pairs.idle[side] = watch(stack, side, keepalive_s=PERSISTENT_KEEPALIVE_S)
            pairs.one_way[side] = watch(stack, side)
            pairs.loaded[side] = watch(stack, side)
        for side in Side:
            p = pairs.one_way[side].pair
            pairs.one_way[side].flows = [to_far(stack, p) if side is Side.OURS else to_near(stack, p)]
            p = pairs.loaded[side].pair
            # What the responder has sealed with the old keys is on its way while the initiator has new ones.
            (p.far if side is Side.OURS else p.near).impair(delay_ms=DELAY_MS)
            stream = Stream.open(stack, p.near, p.far, FAR.ipv4)
            pairs.loaded[side].flows = [to_far(stack, p), to_near(stack, p), stream]
        watched = [*pairs.loaded.values(), *pairs.one_way.values(), *pairs.idle.values()]
        step_until(lambda: all(each.handshakes for each in watched), watched, REKEY_AFTER_TIME_S + LATE_S)
        step_until(after(2), watched)
        yield pairs


def test_a_rekey_under_load_loses_not_one_datagram(rekeyed: Rekeyed, initiator: Side) -> None:
    watched = rekeyed.loaded[initiator]
    until(lambda: all(flow.is_complete() for flow in watched.flows))
    watched.assert_rekeyed_by(initiator)


def test_keepalives_alone_keep_a_session_and_its_keys_fresh(rekeyed: Rekeyed, initiator: Side) -> None:
    watched = rekeyed.idle[initiator]
    assert watched.keepalives_of(initiator) >= REKEY_AFTER_TIME_S // PERSISTENT_KEEPALIVE_S - 1
    watched.assert_rekeyed_by(initiator)
    assert watched.pair.pings_both_ways()
    assert not watched.pair.engine.drain()


def test_traffic_in_one_direction_is_answered_by_keepalives_and_needs_no_other_handshake(
    rekeyed: Rekeyed, initiator: Side
) -> None:
    watched = rekeyed.one_way[initiator]
    until(lambda: all(flow.is_complete() for flow in watched.flows))
    receiver = next(side for side in Side if side is not initiator)
    assert abs(watched.keepalives_of(receiver) - REKEY_AFTER_TIME_S // KEEPALIVE_TIMEOUT_S) <= 1
    watched.assert_rekeyed_by(initiator)


def watch(stack: ExitStack, initiator: Side, *, keepalive_s: int = 0) -> Watched:
    p = stack.enter_context(pair())
    p.connect(initiator, keepalive_s=keepalive_s)
    tap = stack.enter_context(Tap(p.far))
    return Watched(p, tap, p.stock.handshake_at(p.engine.public_key))


def to_far(stack: ExitStack, p: Pair) -> Datagrams:
    return Datagrams.open(stack, p.near, p.far, FAR.ipv4)


def to_near(stack: ExitStack, p: Pair) -> Datagrams:
    return Datagrams.open(stack, p.far, p.near, NEAR.ipv4)


def step_until(condition: Callable[[], bool], watched: Sequence[Watched], timeout_s: float = LATE_S) -> None:
    def has_come() -> bool:
        for each in watched:
            each.step()
        return condition()

    until(has_come, timeout_s, STEP_S)


def after(duration_s: float) -> Callable[[], bool]:
    at = time.monotonic() + duration_s
    return lambda: time.monotonic() >= at
