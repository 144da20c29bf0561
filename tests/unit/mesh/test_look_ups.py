from shadowmesh.identity.names import PeerID
from shadowmesh.mesh.look_ups import MAX_OUTSTANDING, MAX_WAITING, LookUps
from shadowmesh.mesh.outputs import LookUp


def test_a_peer_is_asked_for_once_at_a_time() -> None:
    look_ups = LookUps()
    assert look_ups.ask(peer(1), None)
    assert look_ups.ask(peer(1), b"12345678")
    assert drained(look_ups) == [LookUp(peer(1), None)]


def test_after_the_answer_it_can_be_asked_for_again() -> None:
    look_ups = LookUps()
    look_ups.ask(peer(1), None)
    look_ups.answered(peer(1))
    look_ups.ask(peer(1), b"12345678")
    assert drained(look_ups) == [LookUp(peer(1), None), LookUp(peer(1), b"12345678")]


def test_few_are_outstanding_and_the_rest_follows() -> None:
    look_ups = LookUps()
    for number in range(20):
        look_ups.ask(peer(number), None)
    assert len(drained(look_ups)) == MAX_OUTSTANDING
    look_ups.answered(peer(0))
    assert drained(look_ups) == [LookUp(peer(MAX_OUTSTANDING), None)]


def test_the_queue_is_bounded() -> None:
    look_ups = LookUps()
    assert all(look_ups.ask(peer(number), None) for number in range(MAX_OUTSTANDING + MAX_WAITING))
    assert not look_ups.ask(peer(100_000), None)


def test_a_lost_link_names_all_that_will_not_be_answered() -> None:
    look_ups = LookUps()
    for number in range(10):
        look_ups.ask(peer(number), None)
    assert sorted(look_ups.clear()) == [peer(number) for number in range(10)]
    assert peer(1) not in look_ups


def test_an_answer_that_nobody_waits_for_changes_nothing() -> None:
    look_ups = LookUps()
    look_ups.answered(peer(1))
    assert look_ups.poll() is None


def drained(look_ups: LookUps) -> list[LookUp]:
    asked = []
    while (output := look_ups.poll()) is not None:
        asked.append(output)
    return asked


def peer(number: int) -> PeerID:
    return PeerID(number.to_bytes(20, "big"))
