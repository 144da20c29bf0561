from __future__ import annotations

import pytest

from shadowmesh.identity.names import Fingerprint
from shadowmesh.mesh.calls import OwnAddresses
from shadowmesh.mesh.network_check import NetworkReport, Observer
from shadowmesh.mesh.peer_report import AttemptReport, PeerReport
from shadowmesh.mesh.state import PeerState, PeerStatus
from shadowmesh.node.peer_advice import advise_for, own_side
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.nat_behaviour import UNKNOWN_NAT, Mapping, NatBehaviour
from shadowmesh.wire.endpoint import Endpoint

WHERE = Endpoint.of("203.0.113.5", 41641)
RANDOM = NatBehaviour(Mapping.ADDRESS_AND_PORT_DEPENDENT)
TOLD = (Candidate(CandidateKind.HOST, WHERE),)
_FAR = Fingerprint(bytes(32))


def test_udp_is_blocked_when_the_backbone_is_reached_and_no_observer_answers() -> None:
    assert own_side(network(heard=False)).udp is False
    assert own_side(network(heard=True)).udp is True
    assert own_side(network(heard=False, online=False)).udp is None
    assert own_side(network(heard=False, is_asking=True)).udp is None


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"has_record": False}, "is the node of bob up, with the same backbone?"),
        ({"call_failed": True}, "start the node of bob"),
        ({"online": False}, "start the node of bob"),
        ({"told": ()}, "have bob trust this node: shadowmesh peers trust sm1own"),
        ({}, "is there a firewall on either machine? let UDP port 5 in"),
        ({"nat": RANDOM}, "turn on UPnP"),
    ],
)
def test_each_reason_has_its_remedy(known: dict[str, object], words: str) -> None:
    own = NatBehaviour(Mapping.ADDRESS_AND_PORT_DEPENDENT) if "nat" in known else UNKNOWN_NAT
    assert advice(report(**known), network(heard=True, nat=own))[0].startswith(words)  # type: ignore[arg-type]


def test_without_the_backbone_the_network_comes_first() -> None:
    assert "network" in advice(report(told=()), network(heard=False, online=False))[0]


@pytest.mark.parametrize("state", [PeerState.CONNECTED, PeerState.CONNECTING, PeerState.LOOKING_UP])
def test_while_it_goes_well_there_is_nothing_to_do(state: PeerState) -> None:
    assert advice(report(state=state), network(heard=True)) == ()


def test_a_pair_that_can_not_come_together_is_told_so_while_it_is_still_tried() -> None:
    tried = report(state=PeerState.CONNECTING, nat=RANDOM)
    assert advice(tried, network(heard=True, nat=RANDOM))[0].startswith("turn on UPnP")


def advice(peer: PeerReport, about: NetworkReport) -> tuple[str, ...]:
    return advise_for(peer, about, (), port=5, own_fingerprint="sm1own")


def network(
    *, heard: bool, online: bool = True, is_asking: bool = False, nat: NatBehaviour = UNKNOWN_NAT
) -> NetworkReport:
    observer = Observer(WHERE, "https://b", 3, WHERE if heard else None, None)
    return NetworkReport((), nat, (observer,), is_asking, online, "")


def report(
    *,
    state: PeerState = PeerState.UNREACHABLE,
    has_record: bool = True,
    online: bool | None = True,
    call_failed: bool = False,
    told: tuple[Candidate, ...] = TOLD,
    nat: NatBehaviour = UNKNOWN_NAT,
) -> PeerReport:
    status = PeerStatus(_FAR.peer_id, _FAR, "bob", state, None, None, None, None, None, None, "silence")
    attempt = AttemptReport(1.0, looked_up=True, called=True, call_failed=call_failed, tried=(WHERE,))
    return PeerReport(status, has_record, online, attempt, OwnAddresses(), told, nat, None, ())
