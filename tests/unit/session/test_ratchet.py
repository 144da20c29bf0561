"""Two ratchets and a bad network between them: whatever is lost, both engines have a PSK in common."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.session.harness import endpoint, seeded_entropy

from shadowmesh.session.events import DropReason, Role
from shadowmesh.session.fragments import Fragment, cut
from shadowmesh.session.limits import RATCHET_REPEAT_S
from shadowmesh.session.ratchet import PskChanged, Ratchet
from shadowmesh.session.ratchet_messages import RatchetMessage, RatchetStep
from shadowmesh.wire.transmit import MAX_DATAGRAM_BYTES

PSK = b"p" * 32
LATENCY_S = 0.02
OFFER, ANSWER, CONFIRM, DONE = RatchetStep


def test_traffic_brings_a_new_psk_to_both_sides_every_two_minutes() -> None:
    pair = Pair()
    pair.run(601)
    assert pair.a.psks == pair.b.psks
    assert len(set(pair.a.psks)) == 6
    assert [change.epoch for change in pair.a.changes] == [1, 2, 3, 4, 5]


def test_nothing_is_sent_before_two_minutes_and_nothing_without_traffic() -> None:
    pair = Pair()
    pair.run(119)
    assert pair.sent == []
    idle = Pair(traffic=False)
    idle.run(3600)
    assert idle.sent == []
    assert idle.a.ratchet.next_timeout() is None


def test_after_the_last_traffic_there_is_one_more_ratchet_at_most() -> None:
    pair = Pair()
    pair.run(135)
    pair.traffic = False
    pair.run(3600)
    assert len(pair.a.changes) == 2
    pair.traffic = True
    pair.run(15)
    assert len(pair.a.changes) == 3


def test_a_confirmation_is_repeated_until_it_is_answered_even_without_traffic() -> None:
    pair = Pair()
    pair.lose = lambda step: step is DONE
    pair.run_until_sent(DONE)
    pair.traffic = False
    pair.run(1000)
    confirmations = [datagram for _, step, datagram in pair.sent if step is CONFIRM]
    assert len(confirmations) > 20
    assert sum(len(datagram) + 48 for datagram in confirmations[-10:]) * 8 / 320 < 30
    pair.lose = lambda _: False
    pair.run(40)
    assert pair.a.psks == pair.b.psks
    assert pair.a.ratchet.next_timeout() is None


def test_an_offer_is_not_repeated_without_traffic() -> None:
    pair = Pair()
    pair.lose = lambda _: True
    pair.run_until_sent(OFFER)
    pair.traffic = False
    pair.run(1000)
    sent = len(pair.sent)
    pair.run(1000)
    assert len(pair.sent) == sent


def test_an_exchange_has_four_messages_in_six_datagrams_that_fit_every_path() -> None:
    pair = Pair()
    pair.run(121)
    assert [step for _, step, _ in pair.sent] == [OFFER, OFFER, ANSWER, ANSWER, CONFIRM, DONE]
    assert max(len(datagram) for _, _, datagram in pair.sent) <= MAX_DATAGRAM_BYTES
    assert sum(len(datagram) for _, _, datagram in pair.sent) < 3500


def test_the_responder_changes_first_and_the_initiator_when_it_knows_that() -> None:
    pair = Pair()
    pair.run_until_sent(DONE)
    assert (len(pair.a.changes), len(pair.b.changes)) == (0, 1)
    pair.run(1)
    assert (len(pair.a.changes), len(pair.b.changes)) == (1, 1)


@pytest.mark.parametrize("step", RatchetStep)
@pytest.mark.parametrize("times", [1, 4])
def test_any_message_may_be_lost(step: RatchetStep, times: int) -> None:
    pair = Pair()
    lost = iter(range(2 * times if step in (OFFER, ANSWER) else times))
    pair.lose = lambda sent: sent is step and next(lost, None) is not None
    pair.run(160)
    assert pair.a.psks == pair.b.psks
    assert len(pair.a.psks) == 2


def test_a_message_is_repeated_with_the_same_bytes_at_growing_intervals() -> None:
    pair = Pair()
    pair.lose = lambda _: True
    pair.run(600)
    times = [at for at, _, _ in pair.sent[::2]]
    intervals = [later - earlier for earlier, later in itertools.pairwise(times)]
    for interval, least in zip(intervals, [1, 2, 4, 8, 16, 32, 32], strict=False):
        assert least <= interval <= 1.2 * least
    assert len({datagram for _, _, datagram in pair.sent}) == 2


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 0.6),
    duplication=st.floats(0, 0.5),
    reordering=st.floats(0, 0.5),
)
def test_both_always_have_a_psk_in_common(seed: int, loss: float, duplication: float, reordering: float) -> None:
    pair = Pair(seed)
    pair.loss, pair.duplication, pair.reordering = loss, duplication, reordering
    pair.run(1200)
    pair.loss = 0.0
    pair.run(60)
    assert pair.a.psks == pair.b.psks[: len(pair.a.psks)]
    assert pair.a.changes


@pytest.mark.parametrize("cut_after", RatchetStep)
def test_a_network_that_breaks_for_ever_leaves_a_psk_in_common(cut_after: RatchetStep) -> None:
    pair = Pair()
    pair.run_until_sent(cut_after)
    pair.loss = 1.0
    pair.run(3600)
    assert set(pair.a.psks[-2:]) & set(pair.b.psks[-2:])


def test_a_replayed_exchange_changes_nothing() -> None:
    pair = Pair()
    pair.run(121)
    recorded = [datagram for _, _, datagram in pair.sent]
    pair.run(300)
    before = pair.a.psks.copy(), pair.b.psks.copy(), len(pair.sent)
    for datagram in recorded:
        pair.inject(pair.a, datagram)
        pair.inject(pair.b, datagram)
    assert (pair.a.psks, pair.b.psks, len(pair.sent)) == before


def test_what_is_reflected_to_its_sender_changes_nothing() -> None:
    pair = Pair()
    pair.lose = lambda _: True
    pair.run(121)
    for _, _, datagram in pair.sent.copy():
        pair.inject(pair.a, datagram)
    assert pair.a.changes == []
    assert pair.a.ratchet.drops[DropReason.REPLAYED] == 2


def test_a_flood_of_repeated_offers_gets_one_answer_each_half_second() -> None:
    pair = Pair()
    pair.lose = lambda step: step is ANSWER
    pair.run_until_sent(ANSWER)
    offer = [datagram for _, step, datagram in pair.sent if step is OFFER][:2]
    pair.now += RATCHET_REPEAT_S
    before = len(pair.sent)
    for _ in range(100):
        for datagram in offer:
            pair.inject(pair.b, datagram)
    assert len(pair.sent) - before == 2


def test_who_does_not_know_the_psk_changes_nothing() -> None:
    pair = Pair()
    cid = pair.b.ratchet.cid
    forged = RatchetMessage.seal(OFFER, 0, b"x" * 32, cid, bytes(1568))
    for datagram in cut(OFFER, cid, forged.encode()).datagrams:
        pair.inject(pair.b, datagram)
    assert pair.b.ratchet.drops[DropReason.UNDECRYPTABLE] == 1
    assert pair.sent == []


def test_a_peer_that_offers_no_key_is_refused() -> None:
    pair = Pair()
    cid = pair.b.ratchet.cid
    junk = RatchetMessage.seal(OFFER, 0, PSK, cid, b"\xff" * 1568)
    for datagram in cut(OFFER, cid, junk.encode()).datagrams:
        pair.inject(pair.b, datagram)
    assert pair.b.ratchet.drops[DropReason.MALFORMED] == 1
    assert pair.sent == []


@given(st.binary(max_size=64))
def test_random_bytes_are_counted_and_nothing_else(data: bytes) -> None:
    ratchet = Ratchet(Role.RESPONDER, PSK, entropy=seeded_entropy(1), now=0.0)
    ratchet.receive_datagram(data, endpoint(1), 0.0)
    assert ratchet.poll() is None
    assert sum(ratchet.drops.values()) == 1


def test_a_psk_is_never_printed() -> None:
    assert "ppp" not in repr(PskChanged(PSK, 1))


class Side:
    def __init__(self, role: Role, seed: int) -> None:
        self.ratchet = Ratchet(role, PSK, entropy=seeded_entropy(seed), now=0.0)
        self.changes: list[PskChanged] = []
        self.psks = [PSK]


class Pair:
    """The engines hold two PSKs at a time: what was installed last, and the one before until the new one serves."""

    def __init__(self, seed: int = 1, *, traffic: bool = True) -> None:
        self.now = 0.0
        self.a, self.b = Side(Role.INITIATOR, seed), Side(Role.RESPONDER, seed + 1)
        self.traffic = traffic
        self.loss = self.duplication = self.reordering = 0.0
        self.lose: Callable[[RatchetStep], bool] = lambda _: False
        self.sent: list[tuple[float, RatchetStep, bytes]] = []
        self._in_flight: list[tuple[float, int, Side, bytes]] = []
        self._order = itertools.count()
        self._random = Random(seed)  # noqa: S311  a failure must come again
        self._next_traffic_at = 10.0

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while (when := self._next()) <= end:
            self._step(when)
        self.now = end

    def run_until_sent(self, step: RatchetStep) -> None:
        while all(sent is not step for _, sent, _ in self.sent):
            self._step(self._next())

    def inject(self, side: Side, datagram: bytes) -> None:
        side.ratchet.receive_datagram(datagram, endpoint(1), self.now)
        self._drain(side)

    def _next(self) -> float:
        deadlines = [side.ratchet.next_timeout() for side in (self.a, self.b)]
        arrivals = [item[0] for item in self._in_flight[:1]]
        return min([at for at in deadlines if at is not None] + arrivals + [self._next_traffic_at])

    def _step(self, when: float) -> None:
        self.now = max(self.now, when)
        while self._in_flight and self._in_flight[0][0] <= self.now:
            _, _, side, datagram = heapq.heappop(self._in_flight)
            self.inject(side, datagram)
        if self._next_traffic_at <= self.now:
            self._next_traffic_at += 10.0
        for side in (self.a, self.b):
            if self.traffic and self._next_traffic_at == 10.0 + self.now:
                side.ratchet.traffic(self.now)
            side.ratchet.handle_timeout(self.now)
            self._drain(side)
            after = side.ratchet.next_timeout()
            assert after is None or after > self.now
        assert set(self.a.psks[-2:]) & set(self.b.psks[-2:]), "no PSK in common"
        assert len(self.a.psks) <= len(self.b.psks) <= len(self.a.psks) + 1

    def _drain(self, side: Side) -> None:
        while (output := side.ratchet.poll()) is not None:
            if isinstance(output, PskChanged):
                side.changes.append(output)
                side.psks.append(output.psk)
            else:
                self._send(self.b if side is self.a else self.a, output)

    def _send(self, to: Side, datagram: bytes) -> None:
        step = RatchetStep(Fragment.decode(datagram).flight.message)
        self.sent.append((self.now, step, datagram))
        if self.lose(step) or self._random.random() < self.loss:
            return
        for _ in range(2 if self._random.random() < self.duplication else 1):
            late = self._random.uniform(0, 3) if self._random.random() < self.reordering else 0.0
            heapq.heappush(self._in_flight, (self.now + LATENCY_S + late, next(self._order), to, datagram))
