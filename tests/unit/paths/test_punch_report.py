from __future__ import annotations

from tests.sim.chance import SeededEntropy

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.events import PathFound
from shadowmesh.paths.nat_behaviour import UNKNOWN_NAT
from shadowmesh.paths.puncher import Puncher
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

ALICE, BOB = PeerID(bytes(20)), PeerID(b"\1" * 20)
AT_ALICE, AT_BOB, NOWHERE = (Endpoint.of(f"198.18.0.{number}", 41641) for number in (1, 2, 3))
TOKEN = bytes(16)


def test_the_report_says_what_was_probed_and_what_answered_while_it_goes_on_and_afterwards() -> None:
    alice = punching(ALICE, BOB, AT_BOB, NOWHERE)
    bob = punching(BOB, ALICE, AT_ALICE)
    found = False
    while not found:
        found = exchange(alice, bob, 0.01)
    live = alice.report(BOB)
    alice.stop(BOB)
    assert live == alice.report(BOB)
    assert live is not None
    answered, silent = live.probed
    assert (answered.endpoint, answered.rtt_s, silent.endpoint, silent.rtt_s) == (AT_BOB, 0.01, NOWHERE, None)
    assert live.found
    assert live.probes_sent == 2


def test_of_a_peer_that_was_never_punched_there_is_no_report() -> None:
    assert Puncher(ALICE, entropy=SeededEntropy(1), ids=OpenIds()).report(BOB) is None


def punching(own: PeerID, peer: PeerID, *targets: Endpoint) -> Puncher:
    puncher = Puncher(own, entropy=SeededEntropy(own.raw.hex()), ids=OpenIds())
    candidates = [Candidate(CandidateKind.HOST, endpoint) for endpoint in targets]
    puncher.start(peer, TOKEN, candidates, own_nat=UNKNOWN_NAT, peer_nat=UNKNOWN_NAT, now=0.0)
    return puncher


def exchange(alice: Puncher, bob: Puncher, now: float) -> bool:
    """Everything that is on its way arrives. Whether alice has found the path."""
    found = False
    for puncher, other, source, where in ((alice, bob, AT_ALICE, AT_BOB), (bob, alice, AT_BOB, AT_ALICE)):
        while (output := puncher.poll()) is not None:
            found |= puncher is alice and isinstance(output, PathFound)
            if isinstance(output, Transmit) and output.destination == where:
                other.receive_datagram(output.payload, source, 0, now)
    return found
