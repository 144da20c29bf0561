import pytest
from tests.sim.chance import SeededEntropy

from shadowmesh.identity.names import Fingerprint
from shadowmesh.mesh.backoff import Backoff
from shadowmesh.mesh.peers import LEGAL_MOVES, Attempt, IllegalMove, Peer
from shadowmesh.mesh.state import PeerState, TrustedPeer


def test_every_state_has_its_moves_and_every_state_is_reached() -> None:
    assert set(LEGAL_MOVES) == set(PeerState)
    assert frozenset().union(*LEGAL_MOVES.values()) == set(PeerState)


@pytest.mark.parametrize("before", PeerState)
@pytest.mark.parametrize("after", PeerState)
def test_only_legal_moves_are_made(before: PeerState, after: PeerState) -> None:
    peer = a_peer()
    peer.state = before
    if after in LEGAL_MOVES[before]:
        peer.move(after, "why")
        assert (peer.state, peer.reason) == (after, "why")
    else:
        with pytest.raises(IllegalMove):
            peer.move(after)


def test_an_attempt_ends_with_the_state_it_belongs_to() -> None:
    peer = a_peer()
    peer.move(PeerState.LOOKING_UP)
    peer.attempt = Attempt(0.0, asked=True, give_up_at=30.0)
    peer.move(PeerState.CONNECTING)
    assert peer.attempt is not None
    peer.move(PeerState.UNREACHABLE)
    assert peer.attempt is None


def test_while_an_unreachable_peer_is_tried_again_the_last_reason_stands() -> None:
    peer = a_peer()
    peer.reason = "not wanted yet"
    peer.move(PeerState.CONNECTING)
    assert peer.reason == ""
    peer.move(PeerState.UNREACHABLE, "relay needed")
    peer.move(PeerState.LOOKING_UP)
    peer.move(PeerState.CONNECTING)
    assert peer.reason == "relay needed"
    peer.move(PeerState.CONNECTED)
    assert peer.reason == ""


def test_the_earlier_of_two_schedules_counts() -> None:
    peer = a_peer()
    peer.schedule(20.0)
    peer.schedule(10.0)
    peer.schedule(30.0)
    assert peer.next_timeout() == 10.0


def test_during_an_attempt_the_look_up_or_the_end_is_next() -> None:
    peer = a_peer()
    peer.schedule(5.0)
    peer.move(PeerState.CONNECTING)
    peer.attempt = Attempt(0.0, asked=True, give_up_at=30.0, look_up_at=2.0)
    assert peer.next_timeout() == 2.0
    peer.attempt.look_up_at = None
    assert peer.next_timeout() == 30.0


def a_peer() -> Peer:
    return Peer(TrustedPeer(Fingerprint(bytes(32)), "bob"), Backoff((1.0,), SeededEntropy(1)))
