from tests.sim.chance import SeededEntropy

from shadowmesh.backbone_protocol.updates import MAX_CALL_CANDIDATES, Call
from shadowmesh.identity.names import PeerID
from shadowmesh.mesh.calls import MAX_REPEATS, MIN_INTERVAL_S, REPEAT_S, CallDrop, Calls, OwnAddresses
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.nat_behaviour import Mapping, NatBehaviour
from shadowmesh.wire.endpoint import Endpoint

BOB = PeerID(b"b" * 20)
_CANDIDATES = tuple(Candidate(CandidateKind.HOST, Endpoint.of("198.18.0.1", port)) for port in range(1, 20))
OWN = OwnAddresses(_CANDIDATES, NatBehaviour(Mapping.ENDPOINT_INDEPENDENT))


def test_a_call_is_under_way_until_it_is_answered_or_to_be_repeated() -> None:
    calls = Calls(entropy=SeededEntropy(1), now=0.0)
    assert not calls.is_under_way(BOB, 0.0)
    assert calls.place(BOB, OwnAddresses(), 0.0) is not None
    assert calls.is_under_way(BOB, REPEAT_S - 0.1)
    assert not calls.is_under_way(BOB, REPEAT_S)
    calls.answered(BOB)
    assert not calls.is_under_way(BOB, 0.1)


def test_a_call_carries_a_fresh_token_and_eight_candidates() -> None:
    calls = made()
    call, later = calls.place(BOB, OWN, 0.0), calls.place(BOB, OWN, 10.0)
    assert call is not None
    assert later is not None
    assert (call.peer, call.answer) == (BOB.raw, False)
    assert call.candidates == [candidate.encode() for candidate in _CANDIDATES[:MAX_CALL_CANDIDATES]]
    assert call.nat == OWN.nat.encode()
    assert call.token != later.token


def test_the_same_peer_is_not_called_again_at_once() -> None:
    calls = made()
    assert calls.place(BOB, OWN, 0.0) is not None
    assert calls.place(BOB, OWN, MIN_INTERVAL_S - 0.1) is None
    assert calls.place(BOB, OWN, MIN_INTERVAL_S) is not None


def test_it_says_when_a_peer_may_be_called_again() -> None:
    calls = made()
    assert calls.next_at(BOB) == float("-inf")
    calls.place(BOB, OWN, 5.0)
    assert calls.next_at(BOB) == 5.0 + MIN_INTERVAL_S


def test_a_call_without_an_answer_is_repeated_with_its_token_a_few_times() -> None:
    calls = made()
    placed, at = [], 0.0
    for _ in range(1 + MAX_REPEATS):
        call = calls.place(BOB, OWN, at)
        assert call is not None
        placed.append(call)
        due_at, at = calls.repeat_at(BOB), at + REPEAT_S
        assert due_at == (at if len(placed) <= MAX_REPEATS else None)
    assert placed == placed[:1] * (1 + MAX_REPEATS)
    later = calls.place(BOB, OWN, at)
    assert later is not None
    assert later.token != placed[0].token


def test_an_answered_call_is_not_repeated() -> None:
    calls = made()
    call = calls.place(BOB, OWN, 0.0)
    calls.answered(BOB)
    assert calls.repeat_at(BOB) is None
    again = calls.place(BOB, OWN, REPEAT_S)
    assert call is not None
    assert again is not None
    assert again.token != call.token


def test_an_answer_returns_the_token() -> None:
    answer = made().answer(incoming(), OWN, 0.0)
    assert answer is not None
    assert (answer.peer, answer.answer, answer.token) == (BOB.raw, True, b"t" * 16)


def test_a_peer_that_calls_too_often_is_not_answered() -> None:
    calls = made()
    answers = [calls.answer(incoming(), OWN, 0.0) for _ in range(10)]
    assert sum(answer is not None for answer in answers) == 3
    assert calls.drops == {CallDrop.RATE_LIMITED.value: 7}
    assert calls.answer(incoming(), OWN, 10.0) is not None


def test_all_peers_together_are_limited_too() -> None:
    calls = made()
    peers = [PeerID(number.to_bytes(20, "big")) for number in range(100)]
    assert sum(calls.answer(incoming(peer), OWN, 0.0) is not None for peer in peers) == 40


def test_only_the_answer_to_our_last_call_is_ours() -> None:
    calls = made()
    call = calls.place(BOB, OWN, 0.0)
    assert call is not None
    assert calls.is_ours(BOB, call.token)
    assert not calls.is_ours(BOB, bytes(16))
    assert not calls.is_ours(PeerID(bytes(20)), call.token)
    assert not calls.is_ours(PeerID(bytes(20)), b"")
    assert calls.drops == {CallDrop.UNASKED.value: 3}


def test_a_forgotten_peer_has_no_call() -> None:
    calls = made()
    call = calls.place(BOB, OWN, 0.0)
    assert call is not None
    calls.forget(BOB)
    assert not calls.is_ours(BOB, call.token)


def made() -> Calls:
    return Calls(entropy=SeededEntropy(1), now=0.0)


def incoming(peer: PeerID = BOB) -> Call:
    return Call(peer.raw, b"t" * 16, False, [], bytes(8))
