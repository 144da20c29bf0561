from __future__ import annotations

from dataclasses import replace

import pytest
from tests.sim.chance import SeededEntropy
from tests.unit.mesh.records import record_of

from shadowmesh.mesh.ratchets import Ratchets
from shadowmesh.session.cipher import Cipher
from shadowmesh.session.events import Role, SessionEstablished
from shadowmesh.session.ratchet import PskChanged
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import OpenIds

WHERE = Endpoint.of("198.18.0.3", 41641)
RECORD = record_of(1)
BOB = RECORD.peer_id
SESSION = SessionEstablished(
    BOB, Role.INITIATOR, RECORD, b"w" * 32, WHERE, b"p" * 32, b"k" * 32, Cipher.AES_256_GCM, 0.25
)


def test_counters_that_change_are_traffic_and_bring_a_new_psk_to_both_ends() -> None:
    a, b = started(Role.INITIATOR), started(Role.RESPONDER)
    a.traffic(BOB, 0, 1, 120.0)
    changes = exchange(a, b, 120.0)
    assert len(changes) == 2
    assert changes[0] == changes[1]
    assert a.epoch(BOB) == b.epoch(BOB) == 1


def test_counters_that_stand_still_are_no_traffic() -> None:
    ratchets = started(Role.INITIATOR)
    ratchets.traffic(BOB, 0, 0, 120.0)
    assert ratchets.poll() is None
    ratchets.traffic(BOB, 5, 7, 130.0)
    assert ratchets.poll() is not None


def test_a_new_session_ends_the_ratchet_that_is_under_way() -> None:
    a, b = started(Role.INITIATOR), started(Role.RESPONDER)
    a.traffic(BOB, 0, 1, 120.0)
    late = drained(a)
    for ratchets in (a, b):
        ratchets.start(replace(SESSION, role=Role.RESPONDER, psk=b"q" * 32), 120.0)
    for datagram in late:
        b.receive_datagram(datagram, WHERE, 121.0)
    assert b.poll() is None
    assert a.next_timeout() is None
    assert b.drops == {"ratchet: unknown connection": 2}


def test_a_ratchet_that_is_stopped_sends_nothing() -> None:
    ratchets = started(Role.INITIATOR)
    ratchets.traffic(BOB, 0, 1, 100.0)
    ratchets.stop(BOB)
    ratchets.stop(BOB)
    assert ratchets.next_timeout() is None
    ratchets.handle_timeout(130.0)
    assert ratchets.poll() is None
    with pytest.raises(KeyError):
        ratchets.epoch(BOB)


def test_an_offer_is_repeated_when_its_time_has_come() -> None:
    ratchets = started(Role.INITIATOR)
    ratchets.traffic(BOB, 0, 1, 120.0)
    first = drained(ratchets)
    at = ratchets.next_timeout()
    assert at is not None
    ratchets.handle_timeout(at)
    assert drained(ratchets) == first


def test_drops_of_ended_ratchets_stay_counted() -> None:
    ratchets = started(Role.RESPONDER)
    a = started(Role.INITIATOR)
    a.traffic(BOB, 0, 1, 120.0)
    for datagram in drained(a):
        a.receive_datagram(datagram, WHERE, 120.0)
        ratchets.receive_datagram(datagram[:-1], WHERE, 120.0)
    ratchets.stop(BOB)
    assert a.drops == {"ratchet: replayed": 2}
    assert ratchets.drops == {"ratchet: malformed": 2}


def started(role: Role) -> Ratchets:
    ratchets = Ratchets(entropy=SeededEntropy(1), ids=OpenIds())
    ratchets.start(replace(SESSION, role=role), 0.0)
    return ratchets


def drained(ratchets: Ratchets) -> list[bytes]:
    datagrams = []
    while (output := ratchets.poll()) is not None:
        peer, what = output
        assert peer == BOB
        assert isinstance(what, bytes)
        datagrams.append(what)
    return datagrams


def exchange(a: Ratchets, b: Ratchets, now: float) -> list[PskChanged]:
    changes = []
    for _ in range(4):
        for ratchets, other in ((a, b), (b, a)):
            while (output := ratchets.poll()) is not None:
                if isinstance(output[1], PskChanged):
                    changes.append(output[1])
                else:
                    other.receive_datagram(output[1], WHERE, now)
    return changes
