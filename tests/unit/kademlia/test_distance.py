from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.identity.names import PeerID
from shadowmesh.kademlia.distance import closest, distance

peer_ids = st.binary(min_size=20, max_size=20).map(PeerID)


@given(peer_ids, peer_ids, peer_ids)
def test_distance_is_a_metric(a: PeerID, b: PeerID, c: PeerID) -> None:
    assert distance(a, a) == 0
    assert distance(a, b) == distance(b, a)
    assert (distance(a, b) == 0) == (a == b)
    assert distance(a, c) <= distance(a, b) + distance(b, c)


def test_the_highest_bit_that_differs_decides() -> None:
    near, far = PeerID(bytes(19) + b"\xff"), PeerID(b"\x80" + bytes(19))
    assert distance(PeerID(bytes(20)), near) < distance(PeerID(bytes(20)), far)


@given(peer_ids, st.lists(peer_ids, unique=True, max_size=30), st.integers(0, 10))
def test_closest_gives_the_nearest_first(target: PeerID, peers: list[PeerID], count: int) -> None:
    chosen = closest(target, peers, count)
    assert chosen == sorted(peers, key=lambda peer: distance(target, peer))[:count]
