from tests.sim.chance import SeededEntropy

from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.mesh.calls import OwnAddresses
from shadowmesh.mesh.state import PeerState, TrustedPeer
from shadowmesh.mesh.status import merge_drops, peer_status
from shadowmesh.mesh.tunnels import Tunnels
from shadowmesh.session.events import DropReason
from shadowmesh.wire.open_ids import OpenIds


def test_a_peer_without_a_tunnel_has_no_path() -> None:
    trusted = TrustedPeer(Fingerprint(bytes(32)), "bob")
    tunnels = Tunnels(PeerID(bytes(20)), bytes(32), entropy=SeededEntropy(1), ids=OpenIds())
    status = peer_status(trusted, None, tunnels, OwnAddresses())
    assert (status.name, status.state) == ("bob", PeerState.IDLE)
    assert (status.path, status.rtt_s, status.handshake_s, status.wireguard_key) == (None, None, None, None)


def test_drops_of_all_parts_are_summed_and_those_that_never_happened_left_out() -> None:
    merged = merge_drops([{"a": 1, "b": 0}, {"a": 2}], {DropReason.REPLAYED: 4, DropReason.MALFORMED: 0})
    assert merged == {"a": 3, "replayed": 4}
