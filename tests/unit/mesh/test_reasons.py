from tests.sim.chance import SeededEntropy

from shadowmesh.identity.names import Fingerprint
from shadowmesh.mesh.backoff import Backoff
from shadowmesh.mesh.calls import OwnAddresses
from shadowmesh.mesh.connector_events import LinkView
from shadowmesh.mesh.peers import Attempt, Peer
from shadowmesh.mesh.reasons import no_answer, no_record
from shadowmesh.mesh.state import TrustedPeer
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.events import PunchEnded
from shadowmesh.paths.nat_behaviour import Mapping, NatBehaviour
from shadowmesh.paths.punch_plan import Role
from shadowmesh.wire.endpoint import Endpoint

ONLINE = LinkView(online=True, updates_open=True)
OFFLINE = LinkView(reason="https://b.example: not reached")
OWN = OwnAddresses(
    (Candidate(CandidateKind.SERVER_REFLEXIVE, Endpoint.of("198.18.0.1", 1)),), NatBehaviour(Mapping.ADDRESS_DEPENDENT)
)
WHERE = Endpoint.of("198.18.0.3", 41641)


def test_a_peer_that_is_away_and_silent() -> None:
    text = no_answer(bob(call_failed=True, tried=(WHERE,)), ONLINE, OWN)
    assert text == "bob is not online at the backbone and does not answer at 198.18.0.3:41641"


def test_a_peer_that_is_away_and_has_no_address() -> None:
    assert (
        no_answer(bob(call_failed=True), ONLINE, OWN)
        == "bob is not online at the backbone, and no address of it is known"
    )


def test_a_peer_that_ignores_us() -> None:
    assert no_answer(bob(called=True), ONLINE, OWN).startswith(
        "bob does not answer our call (does it trust this node?)"
    )


def test_a_silent_peer_without_the_backbone() -> None:
    text = no_answer(bob(tried=(WHERE,)), OFFLINE, OWN)
    assert text == (
        "the backbone is not reached (https://b.example: not reached), and bob does not answer at 198.18.0.3:41641"
    )


def test_a_silent_peer_of_which_the_backbone_says_nothing() -> None:
    assert no_answer(bob(tried=(WHERE,)), ONLINE, OWN) == "bob does not answer at 198.18.0.3:41641"
    assert no_answer(bob(), ONLINE, OWN) == "no address of bob is known"


def test_many_addresses_do_not_make_a_long_line() -> None:
    tried = tuple(Endpoint(WHERE.address, port) for port in range(1, 9))
    assert no_answer(bob(tried=tried), ONLINE, OWN).endswith("198.18.0.3:3 and 5 more")


def test_two_hard_nats_need_a_relay() -> None:
    assert no_answer(punched(Role.NONE, OWN), ONLINE, OWN) == (
        "no direct path to bob: both routers choose another port for each peer, at random; a relay is needed"
    )


def test_a_network_without_udp_needs_a_relay_on_either_side() -> None:
    inside = OwnAddresses((Candidate(CandidateKind.HOST, WHERE),))
    text = no_answer(punched(Role.PLAIN, OWN), ONLINE, inside)
    assert text == "no direct path to bob: this network lets no UDP through; a relay is needed"
    text = no_answer(punched(Role.PLAIN, inside), ONLINE, OWN)
    assert text == "no direct path to bob: the network of bob lets no UDP through; a relay is needed"


def test_probes_that_were_lost_say_how_many_there_were() -> None:
    text = no_answer(punched(Role.SPRAY, OWN), ONLINE, OWN)
    assert text == "no direct path to bob: none of 1040 probes came through; a relay is needed"


def test_no_record() -> None:
    assert no_record(bob(), OFFLINE) == (
        "no record of bob is held, and the backbone is not reached (https://b.example: not reached)"
    )


def bob(*, called: bool = False, call_failed: bool = False, tried: tuple[Endpoint, ...] = ()) -> Peer:
    peer = Peer(TrustedPeer(Fingerprint(bytes(32)), "bob"), Backoff((1.0,), SeededEntropy(1)))
    peer.attempt = Attempt(0.0, True, 30.0, called=called, call_failed=call_failed, tried=tried)
    return peer


def punched(role: Role, told: OwnAddresses) -> Peer:
    """In vain, after bob has answered the call."""
    peer = bob(called=True, tried=(WHERE,))
    peer.call_candidates, peer.nat = told.candidates, told.nat
    peer.punch = PunchEnded(peer.peer_id, found=False, role=role, probes_sent=1040)
    return peer
