"""Whom this node talks to, and what it knows of them."""

from __future__ import annotations

from dataclasses import dataclass

from shadowmesh.identity.keys import PublicIdentity
from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.records.peer_record import SignedRecord
from shadowmesh.session.drops import Dropped
from shadowmesh.session.events import DropReason
from shadowmesh.session.keys import SUITE
from shadowmesh.session.limits import MAX_ALLOWED_PEERS
from shadowmesh.session.messages import Claim


@dataclass(slots=True)
class AllowedPeer:
    fingerprint: Fingerprint
    record: SignedRecord | None  # the newest that we hold, verified
    informed_of: bytes | None = None  # id of our record that the peer had when it last sent M4
    settled_at_step: int = 0  # handshakes that began before the last session do not count any more

    @property
    def peer_id(self) -> PeerID:
        return self.fingerprint.peer_id

    @property
    def public(self) -> PublicIdentity | None:
        return None if self.record is None else self.record.record.public

    def learn(self, record: SignedRecord) -> None:
        """Keeps the newer one. Raises ValueError for the record of another key."""
        if record.record.public.fingerprint != self.fingerprint:
            raise ValueError("the record is not of the key that is allowed")
        if self.record is None or record.record.sequence > self.record.record.sequence:
            self.record = record

    def check_claim(self, claim: Claim) -> None:
        """A signed claim against the record that we hold. Raises Dropped.

        It may name a newer record, whose facts we then learn from the signature. An older one is no way back:
        the key must be that of the record which we hold. Nor is there one to our suite for who demands a higher one.
        """
        if self.record is None:
            return
        held = Claim.of(self.record)
        if (
            self.record.record.revoked
            or self.record.record.min_suite > SUITE
            or (claim.sequence == held.sequence and claim != held)
            or (claim.sequence < held.sequence and claim.wireguard_key != held.wireguard_key)
        ):
            raise Dropped(DropReason.RECORD_REFUSED)


class AllowedPeers:
    """The trust list as the handshake sees it. Who is not in it gets no answer."""

    def __init__(self) -> None:
        self._peers: dict[PeerID, AllowedPeer] = {}

    def allow(self, fingerprint: Fingerprint, record: SignedRecord | None) -> None:
        """Raises ValueError for a record of another key, a second key with this PeerID, and above the bound."""
        peer = self._peers.get(fingerprint.peer_id)
        if peer is None:
            if len(self._peers) >= MAX_ALLOWED_PEERS:
                raise ValueError(f"more than {MAX_ALLOWED_PEERS} allowed peers")
            peer = AllowedPeer(fingerprint, None)
        elif peer.fingerprint != fingerprint:
            raise ValueError("another key with this PeerID is allowed")
        if record is not None:
            peer.learn(record)
        self._peers[fingerprint.peer_id] = peer

    def disallow(self, fingerprint: Fingerprint) -> None:
        self._peers.pop(fingerprint.peer_id, None)

    def get(self, peer_id: PeerID) -> AllowedPeer | None:
        return self._peers.get(peer_id)
