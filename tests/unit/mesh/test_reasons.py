from tests.sim.chance import SeededEntropy

from shadowmesh.identity.names import Fingerprint
from shadowmesh.mesh.backoff import Backoff
from shadowmesh.mesh.connector_events import LinkView
from shadowmesh.mesh.peers import Attempt, Peer
from shadowmesh.mesh.reasons import no_answer, no_record
from shadowmesh.mesh.state import TrustedPeer
from shadowmesh.wire.endpoint import Endpoint

ONLINE = LinkView(online=True, updates_open=True)
OFFLINE = LinkView(reason="https://b.example: not reached")
WHERE = Endpoint.of("198.18.0.3", 41641)


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


def bob(*, called: bool = False, call_failed: bool = False, tried: tuple[Endpoint, ...] = ()) -> Peer:
    peer = Peer(TrustedPeer(Fingerprint(bytes(32)), "bob"), Backoff((1.0,), SeededEntropy(1)))
    peer.attempt = Attempt(0.0, True, 30.0, called=called, call_failed=call_failed, tried=tried)
    return peer
