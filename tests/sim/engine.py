"""A simulated packet engine: what is installed, and whether two of them would pass traffic."""

from __future__ import annotations

from shadowmesh.mesh.outputs import InstallPeer, RemovePeer, SetPath
from shadowmesh.wire.endpoint import Endpoint


class SimEngine:
    def __init__(self, public_key: bytes) -> None:
        self.public_key = public_key
        self.peers: dict[bytes, InstallPeer] = {}
        self.paths: dict[bytes, Endpoint] = {}
        self.installs = 0  # each with another PSK than before
        self.counters: dict[bytes, tuple[int, int]] = {}  # bytes received and sent, of each peer that is installed

    def install(self, peer: InstallPeer) -> None:
        """Refuses what the real engine refuses."""
        if len(peer.psk) != 32 or not any(peer.psk):
            raise ValueError("a PSK of 32 bytes that is not zero is needed")
        taken = [key for key, other in self.peers.items() if set(other.allowed_ips) & set(peer.allowed_ips)]
        if taken and taken != [peer.wireguard_key]:
            raise ValueError("another peer has this prefix")
        before = self.peers.get(peer.wireguard_key)
        self.installs += before is None or before.psk != peer.psk
        self.peers[peer.wireguard_key] = peer
        self.paths[peer.wireguard_key] = peer.path

    def set_path(self, change: SetPath) -> None:
        if change.wireguard_key not in self.peers:
            raise KeyError("no such peer")
        self.paths[change.wireguard_key] = change.path

    def remove(self, removal: RemovePeer) -> None:
        self.peers.pop(removal.wireguard_key, None)
        self.paths.pop(removal.wireguard_key, None)
        self.counters.pop(removal.wireguard_key, None)

    def count(self, key: bytes, *, rx_bytes: int, tx_bytes: int) -> None:
        """Packets inside the tunnel. Nothing is sealed for who is not installed."""
        if key in self.peers:
            received, sent = self.counters.get(key, (0, 0))
            self.counters[key] = received + rx_bytes, sent + tx_bytes

    def would_pass(self, other: SimEngine) -> bool:
        """Both have the other, with one PSK and one cipher, and one of them begins."""
        mine, theirs = self.peers.get(other.public_key), other.peers.get(self.public_key)
        if mine is None or theirs is None or (mine.psk, mine.cipher) != (theirs.psk, theirs.cipher):
            return False
        return mine.initiate or theirs.initiate
