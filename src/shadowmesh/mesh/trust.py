"""Whom the owner trusts. Default deny: who is not here gets no session, and no answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address

from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.mesh.errors import (
    MeshError,
    NameTaken,
    NotTrusted,
    OverlayAddressTaken,
    PeerAlreadyTrusted,
    TrustListFull,
)
from shadowmesh.mesh.state import TrustedPeer

MAX_TRUSTED = 1000  # each costs a few hundred bytes, a subscription and, while connected, a probe every 25 s


class TrustList:
    """Fingerprints, names and overlay addresses are each unique. The order is that of insertion."""

    def __init__(self, own: Fingerprint, saved: Iterable[TrustedPeer] = ()) -> None:
        """`refused`: saved peers that break a rule, with the rule."""
        self._own = own
        self._peers: dict[PeerID, TrustedPeer] = {}
        self._names: dict[str, PeerID] = {}
        self._addresses: dict[IPv6Address, PeerID] = {own.peer_id.overlay_address: own.peer_id}
        self.refused: list[tuple[TrustedPeer, MeshError]] = []
        for peer in saved:
            try:
                self.add(peer)
            except MeshError as error:
                self.refused.append((peer, error))

    def __contains__(self, peer: object) -> bool:
        return peer in self._peers

    def __len__(self) -> int:
        return len(self._peers)

    def __iter__(self) -> Iterator[PeerID]:
        return iter(self._peers)

    def all(self) -> tuple[TrustedPeer, ...]:
        return tuple(self._peers.values())

    def get(self, peer: PeerID) -> TrustedPeer | None:
        return self._peers.get(peer)

    def at_address(self, address: IPv6Address) -> TrustedPeer | None:
        """Whose overlay address this is."""
        peer = self._addresses.get(address)
        return None if peer is None else self._peers.get(peer)

    def add(self, peer: TrustedPeer) -> None:
        """Raises PeerAlreadyTrusted, OverlayAddressTaken, NameTaken, TrustListFull."""
        peer_id = peer.fingerprint.peer_id
        if peer.fingerprint == self._own:
            raise PeerAlreadyTrusted("this is the node's own fingerprint")
        known = self._peers.get(peer_id)
        if known is not None and known.fingerprint == peer.fingerprint:
            raise PeerAlreadyTrusted(f"{display_name(known)} is trusted already")
        holder = self._addresses.get(peer_id.overlay_address)
        if holder is not None:
            raise OverlayAddressTaken(
                f"{peer.fingerprint} has the overlay address of {holder}: one of the two was made to imitate the other"
            )
        if peer.name and peer.name in self._names:
            raise NameTaken(f"another trusted peer is called {peer.name!r}")
        if len(self._peers) >= MAX_TRUSTED:
            raise TrustListFull(f"{MAX_TRUSTED} peers are trusted, which is the most")
        self._peers[peer_id] = peer
        self._addresses[peer_id.overlay_address] = peer_id
        if peer.name:
            self._names[peer.name] = peer_id

    def remove(self, fingerprint: Fingerprint) -> TrustedPeer:
        """Raises NotTrusted."""
        peer = self._peers.get(fingerprint.peer_id)
        if peer is None or peer.fingerprint != fingerprint:
            raise NotTrusted(f"{fingerprint} is not trusted")
        del self._peers[fingerprint.peer_id]
        del self._addresses[fingerprint.peer_id.overlay_address]
        self._names.pop(peer.name, None)
        return peer


def display_name(peer: TrustedPeer) -> str:
    """The owner's name for it, or its PeerID."""
    return peer.name or str(peer.fingerprint.peer_id)
