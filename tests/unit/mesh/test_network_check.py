from __future__ import annotations

from tests.sim.chance import SeededEntropy
from tests.sim.world import identity_number

from shadowmesh.mesh.network_check import MAX_OTHERS, NetworkCheck
from shadowmesh.paths.classification import Observation
from shadowmesh.records.directory import BackboneNode
from shadowmesh.wire import stun
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

OUTSIDE = Endpoint.of("203.0.113.5", 5000)
NEAR = BackboneNode(identity_number(1).public, 3, "https://near", (Endpoint.of("198.19.0.1", 1),))
FAR = BackboneNode(
    identity_number(2).public,
    1,
    "https://far",
    (Endpoint.of("198.19.0.2", 1), Endpoint.of("198.19.0.2", 2), Endpoint.of("2001:db8::2", 1)),
)


def test_of_the_other_nodes_one_endpoint_of_each_family_is_asked() -> None:
    check = checking()
    assert [each.destination for each in transmits(check)] == [FAR.stun[0], FAR.stun[2]]


def test_nobody_is_asked_over_an_ip_version_that_we_do_not_have() -> None:
    check = NetworkCheck(entropy=SeededEntropy(1), ids=OpenIds())
    check.start([FAR], [], {6}, 1.0)
    assert [each.destination for each in transmits(check)] == [FAR.stun[2]]


def test_the_check_ends_once_when_all_have_answered() -> None:
    check = checking()
    for request in transmits(check):
        assert not check.end_unless(False)
        answer(check, request, 1.08)
    assert not check.end_unless(True)
    assert check.end_unless(False)
    assert not check.end_unless(False)
    assert not check.is_running


def test_it_ends_without_those_that_never_answer() -> None:
    check = checking()
    while (at := check.next_timeout()) is not None:
        transmits(check)
        check.handle_timeout(at)
    assert check.end_unless(False)


def test_the_report_has_the_round_trips_and_who_was_silent() -> None:
    check = checking()
    first, _ = transmits(check)
    answer(check, first, 1.08)
    seen = Observation(NEAR.stun[0], OUTSIDE, seen_at=1.01, rtt_s=0.01)
    near, far, far6 = check.observers([NEAR, FAR], [NEAR.stun[0]], [seen])
    assert (near.url, near.region, near.mapped, near.rtt_s) == ("https://near", 3, OUTSIDE, 0.01)
    assert (far.mapped, far.rtt_s is not None and round(far.rtt_s, 3)) == (OUTSIDE, 0.08)
    assert (far6.endpoint, far6.mapped, far6.rtt_s) == (FAR.stun[2], None, None)


def test_an_answer_from_before_the_check_does_not_count() -> None:
    check = checking()
    old = Observation(NEAR.stun[0], OUTSIDE, seen_at=0.5, rtt_s=0.01)
    assert check.observers([NEAR], [NEAR.stun[0]], [old])[0].mapped is None


def test_a_second_check_asks_the_same_nodes_again() -> None:
    check = checking()
    for request in transmits(check):
        answer(check, request, 1.08)
    check.start([NEAR, FAR], [NEAR.stun[0]], {4, 6}, 60.0)
    assert len(transmits(check)) == 2


def test_a_large_directory_makes_no_flood() -> None:
    nodes = [
        BackboneNode(identity_number(1).public, 0, f"https://n{n}", (Endpoint.of("198.19.1.1", n),))
        for n in range(1, 65)
    ]
    check = NetworkCheck(entropy=SeededEntropy(1), ids=OpenIds())
    check.start(nodes, [], {4}, 1.0)
    assert len(transmits(check)) == MAX_OTHERS


def checking() -> NetworkCheck:
    check = NetworkCheck(entropy=SeededEntropy(1), ids=OpenIds())
    check.start([NEAR, FAR], [NEAR.stun[0]], {4, 6}, 1.0)
    return check


def transmits(check: NetworkCheck) -> list[Transmit]:
    found = []
    while (output := check.poll()) is not None:
        found.append(output)
    return found


def answer(check: NetworkCheck, request: Transmit, now: float) -> None:
    assert check.takes(request.destination)
    reply = stun.encode_binding_success(stun.decode(request.payload).transaction_id, OUTSIDE)
    check.receive_datagram(reply, request.destination, now)
