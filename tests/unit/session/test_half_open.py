import math

from tests.unit.session.harness import endpoint, identity, record

from shadowmesh.identity.keys import SIGNATURE_BYTES
from shadowmesh.session.fragments import cut
from shadowmesh.session.half_open import HalfOpen, HalfOpenTable, RefusedMessage3
from shadowmesh.session.keys import Side
from shadowmesh.session.limits import (
    HALF_OPEN_S,
    MAX_HALF_OPEN,
    MAX_HALF_OPEN_A_PREFIX,
    MAX_USED,
    REFUSED_S,
    USED_S,
)
from shadowmesh.session.messages import Claim, InitiatorProof
from shadowmesh.session.source_prefix import source_prefix
from shadowmesh.wire.open_ids import OpenIds


def test_it_is_found_by_our_cid_by_its_message1_and_by_its_message2() -> None:
    table = HalfOpenTable(OpenIds())
    half_open = made_half_open(1)
    table.add(half_open)
    assert table.with_cid(half_open.cid) is half_open
    assert table.for_message1(half_open.h1) is half_open
    assert table.with_flight(half_open.message2.flight) is half_open


def test_of_those_refused_to_one_peer_the_last_counts_while_it_is_fresh() -> None:
    table = HalfOpenTable(OpenIds())
    first, last, other = (made_half_open(number) for number in (1, 2, 3))
    for half_open, peer, came_at in ((first, 1, 5.0), (last, 1, 4.0), (other, 2, 6.0)):
        table.add(half_open)
        proof = InitiatorProof(identity(peer).peer_id, Claim.of(record(peer)), bytes(SIGNATURE_BYTES))
        half_open.refused = RefusedMessage3(proof, endpoint(1), came_at)
    assert table.with_refused(identity(1).peer_id, 4.0 + REFUSED_S) is last
    assert table.with_refused(identity(1).peer_id, 4.1 + REFUSED_S) is None
    assert table.with_refused(identity(3).peer_id, 6.0) is None


def test_when_it_expires_its_message1_is_used_for_five_minutes() -> None:
    table = HalfOpenTable(OpenIds())
    half_open = made_half_open(1, now=10.0)
    table.add(half_open)
    assert table.next_timeout() == 10.0 + HALF_OPEN_S
    table.expire(10.0 + HALF_OPEN_S)
    assert (len(table), table.next_timeout(), table.for_message1(half_open.h1)) == (0, math.inf, None)
    assert table.used(half_open.h1, 10.0 + HALF_OPEN_S + USED_S - 1)
    assert not table.used(half_open.h1, 10.0 + HALF_OPEN_S + USED_S)


def test_one_prefix_evicts_its_own_oldest_and_no_other() -> None:
    table = HalfOpenTable(OpenIds())
    quiet = made_half_open(0, prefix_of=200)
    table.add(quiet)
    flood = [made_half_open(number, prefix_of=1) for number in range(1, MAX_HALF_OPEN_A_PREFIX + 3)]
    for half_open in flood:
        table.add(half_open)
    assert len(table) == 1 + MAX_HALF_OPEN_A_PREFIX
    assert table.evictions == 2
    assert table.with_cid(quiet.cid) is quiet
    assert table.with_cid(flood[1].cid) is None


def test_when_the_table_is_full_the_oldest_makes_room_and_may_begin_anew() -> None:
    table = HalfOpenTable(OpenIds())
    for number in range(MAX_HALF_OPEN + 1):
        table.add(made_half_open(number, prefix_of=number))
    assert len(table) == MAX_HALF_OPEN
    first = made_half_open(0)
    assert table.with_cid(first.cid) is None
    assert not table.used(first.h1, 0.0)


def test_the_memory_of_used_ones_is_bounded() -> None:
    table = HalfOpenTable(OpenIds())
    for number in range(MAX_USED + 1):
        table.close(made_half_open(number), 0.0)
    assert not table.used(made_half_open(0).h1, 1.0)
    assert table.used(made_half_open(1).h1, 1.0)


def test_the_secret_is_not_printed() -> None:
    assert "secret" not in repr(made_half_open(1))


def made_half_open(number: int, *, prefix_of: int = 1, now: float = 0.0) -> HalfOpen:
    name = number.to_bytes(32, "big")
    return HalfOpen(
        h1=name,
        cid=name[-8:],
        initiator_cid=bytes(8),
        prefix=source_prefix(endpoint(prefix_of)),
        began_at=now,
        began_at_step=0,
        own=Side(identity(1).fingerprint, Claim(bytes(8), 0, bytes(32), 0)),
        shared_secret=b"secret",
        h3=bytes(32),
        message2=cut(2, bytes(8), name),
    )
