import pytest
from tests.sim.chance import SeededEntropy

from shadowmesh.identity.names import Fingerprint
from shadowmesh.mesh.backoff import Backoff
from shadowmesh.mesh.calls import OwnAddresses
from shadowmesh.mesh.connector_events import LinkView
from shadowmesh.mesh.peers import Attempt, Peer
from shadowmesh.mesh.reasons import no_answer, no_path, no_record
from shadowmesh.mesh.state import TrustedPeer
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.events import PunchEnded
from shadowmesh.paths.nat_behaviour import UNKNOWN_NAT, Filtering, Mapping, NatBehaviour
from shadowmesh.paths.punch_plan import Role
from shadowmesh.wire.endpoint import Endpoint

ONLINE = LinkView(online=True, updates_open=True)
OFFLINE = LinkView(reason="https://b.example: not reached")
WHERE = Endpoint.of("198.18.0.3", 41641)
EASY = NatBehaviour(Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT)
HARD = NatBehaviour(Mapping.ADDRESS_AND_PORT_DEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT)


def test_a_peer_that_is_away_and_silent() -> None:
    text = no_answer(bob(call_failed=True, tried=(WHERE,)), ONLINE)
    assert text == "bob is not online at the backbone and does not answer at 198.18.0.3:41641"


def test_a_peer_that_is_away_and_has_no_address() -> None:
    assert (
        no_answer(bob(call_failed=True), ONLINE) == "bob is not online at the backbone, and no address of it is known"
    )


def test_a_peer_that_ignores_us() -> None:
    assert no_answer(bob(called=True), ONLINE).startswith("bob does not answer our call (does it trust this node?)")


def test_a_silent_peer_without_the_backbone() -> None:
    text = no_answer(bob(tried=(WHERE,)), OFFLINE)
    assert text == (
        "the backbone is not reached (https://b.example: not reached), and bob does not answer at 198.18.0.3:41641"
    )


def test_a_silent_peer_of_which_the_backbone_says_nothing() -> None:
    assert no_answer(bob(tried=(WHERE,)), ONLINE) == "bob does not answer at 198.18.0.3:41641"
    assert no_answer(bob(), ONLINE) == "no address of bob is known"


def test_many_addresses_do_not_make_a_long_line() -> None:
    tried = tuple(Endpoint(WHERE.address, port) for port in range(1, 9))
    assert no_answer(bob(tried=tried), ONLINE).endswith("198.18.0.3:3 and 5 more")


def test_no_record() -> None:
    assert no_record(bob(), OFFLINE) == (
        "no record of bob is held, and the backbone is not reached (https://b.example: not reached)"
    )


def test_two_routers_that_choose_ports_at_random() -> None:
    assert no_path(punched(Role.NONE, HARD), own(HARD)) == (
        "relay needed: both routers choose another port for each peer: "
        "switch on UPnP, NAT-PMP or PCP in one of them, or use a network with IPv6"
    )


def test_a_network_without_udp_is_named() -> None:
    ours = no_path(punched(Role.PLAIN, EASY), own(UNKNOWN_NAT))
    assert ours.startswith("relay needed: no UDP passes out of this network (no observer answers): let outgoing UDP")
    theirs = no_path(punched(Role.PLAIN, UNKNOWN_NAT), own(EASY))
    assert theirs.startswith("relay needed: no UDP passes out of bob's network (no observer answers it): let outgoing")


def test_a_single_observer_is_enough_to_know_that_udp_passes() -> None:
    seen = OwnAddresses((Candidate(CandidateKind.SERVER_REFLEXIVE, WHERE),))
    assert "of this network" not in no_path(punched(Role.PLAIN, EASY), seen)


@pytest.mark.parametrize(("role", "nat", "whose"), [(Role.SPRAY, HARD, "bob's"), (Role.HOLD_PORTS, EASY, "our")])
def test_ports_that_were_guessed_in_vain(role: Role, nat: NatBehaviour, whose: str) -> None:
    text = no_path(punched(role, nat), own(EASY))
    assert text == f"relay needed for now: the ports that {whose} router chose were not guessed; it is tried again"


def test_routers_that_should_let_both_through_and_do_not() -> None:
    text = no_path(punched(Role.PLAIN, EASY), own(EASY))
    assert text.startswith("relay needed: no UDP passes between the two networks, tried at 198.18.0.3:41641: switch on")


def punched(role: Role, nat: NatBehaviour) -> Peer:
    peer = bob(tried=(WHERE,))
    peer.nat = nat
    peer.punch = PunchEnded(peer.peer_id, False, role, 8)
    return peer


def own(nat: NatBehaviour) -> OwnAddresses:
    return OwnAddresses((Candidate(CandidateKind.HOST, WHERE),), nat)


def bob(*, called: bool = False, call_failed: bool = False, tried: tuple[Endpoint, ...] = ()) -> Peer:
    peer = Peer(TrustedPeer(Fingerprint(bytes(32)), "bob"), Backoff((1.0,), SeededEntropy(1)))
    peer.attempt = Attempt(0.0, True, 30.0, called=called, call_failed=call_failed, tried=tried)
    return peer
