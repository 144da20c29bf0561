"""One attempt's schedule; whole attempts are in tests/sim."""

from __future__ import annotations

from tests.sim.chance import SeededEntropy

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.nat_behaviour import UNKNOWN_NAT, Filtering, Mapping, NatBehaviour
from shadowmesh.paths.punch import GIVE_UP_AFTER_S, SPRAY_AFTER_S, Punch
from shadowmesh.paths.punch_plan import MAX_SPRAY_PROBES, Role
from shadowmesh.wire.endpoint import Endpoint

EASY = NatBehaviour(Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT)
HARD = NatBehaviour(Mapping.ADDRESS_AND_PORT_DEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT)
OUTSIDE = Candidate(CandidateKind.SERVER_REFLEXIVE, Endpoint.of("198.18.0.3", 41641))


def test_on_a_busy_machine_all_ports_are_tried_before_the_attempt_is_over() -> None:
    assert sprayed(late_s=0.15) == MAX_SPRAY_PROBES


def test_a_machine_that_slept_does_not_flood_its_router() -> None:
    punch = spraying()
    punch.next_spray(SeededEntropy(1), SPRAY_AFTER_S)
    assert len(punch.next_spray(SeededEntropy(2), 8.0)) < 50


def test_after_a_batch_the_next_one_is_due_later() -> None:
    punch = spraying()
    for now in (SPRAY_AFTER_S, 1.021, 1.5, 1.53, 8.0):
        punch.next_spray(SeededEntropy(1), now)
        due_at = punch.spray_due_at()
        assert due_at is not None
        assert due_at > now


def test_a_role_that_is_known_late_gets_its_whole_time() -> None:
    punch = Punch(PeerID(bytes(20)), UNKNOWN_NAT, HARD, 0.0)
    punch.add([OUTSIDE], 0.0)
    punch.nats_are(HARD, HARD, 2.0)
    assert punch.role is Role.NONE
    assert punch.give_up_at == 2.0 + GIVE_UP_AFTER_S
    punch.nats_are(HARD, HARD, 4.0)
    assert punch.give_up_at == 2.0 + GIVE_UP_AFTER_S


def spraying() -> Punch:
    punch = Punch(PeerID(bytes(20)), EASY, HARD, 0.0)
    punch.add([OUTSIDE], 0.0)
    return punch


def sprayed(*, late_s: float) -> int:
    """How many ports are tried when each timer comes late."""
    punch, entropy, count = spraying(), SeededEntropy(1), 0
    while (due_at := punch.spray_due_at()) is not None and due_at < punch.give_up_at:
        count += len(punch.next_spray(entropy, due_at + late_s))
    return count
