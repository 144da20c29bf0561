"""Finding peers: the local cache first, then the backbone. Spec: docs/spec/mesh.md, section 5."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from logging import WARNING

from shadowmesh.backbone_protocol.queries import HAVE_BYTES
from shadowmesh.identity.names import PeerID
from shadowmesh.mesh.known_peers import KnownPeers
from shadowmesh.mesh.look_ups import LookUps
from shadowmesh.mesh.outputs import LookedUp, LookUp, Notice, SaveRecord
from shadowmesh.records.hints import Hints
from shadowmesh.records.peer_record import RecordRefused, Refusal, SignedRecord

MAX_ASKERS = 64  # look-ups by people and programs that wait at once


@dataclass(frozen=True, slots=True)
class Found:
    """The backbone has answered for this peer. `hints` is None when it knows nothing; `failure` says why."""

    peer: PeerID
    hints: Hints | None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class KeysChanged:
    """The newest record of the peer has another WireGuard key, other capabilities or a higher suite than before."""

    peer: PeerID


FinderOutput = LookUp | LookedUp | Found | Notice | SaveRecord | KeysChanged


class Finder:
    """After each call: drain `poll()`. Has no timers: each LookUp is answered by the shell."""

    def __init__(self, known: KnownPeers) -> None:
        self._known = known
        self._look_ups = LookUps()
        self._askers: dict[PeerID, int] = {}  # how many wait
        self._out: deque[FinderOutput] = deque()

    def need(self, peer: PeerID, have: bytes | None = None) -> None:
        """Answered by Found. `have`: first 8 bytes of the record's id, when not the one that is held."""
        record = self._known.record(peer)
        if have is None and record is not None:
            have = record.record_id[:HAVE_BYTES]
        if not self._look_ups.ask(peer, have):
            self._out.append(Found(peer, None, "too many look-ups at once"))
        self._drain()

    def look_up(self, peer: PeerID, *, link_online: bool, link_reason: str, peer_online: bool | None) -> None:
        """For a person or a program: answered by LookedUp."""
        record = self._known.look_up(peer)
        if record is not None and self._known.is_fresh(record):
            self._out.append(LookedUp(peer, record, "cache", peer_online))
        elif not link_online:
            failure = f"not in the cache, and the backbone is not reached ({link_reason})"
            self._out.append(LookedUp(peer, None, "backbone", None, failure))
        elif sum(self._askers.values()) >= MAX_ASKERS:
            self._out.append(LookedUp(peer, None, "backbone", None, "too many look-ups at once"))
        else:
            self._askers[peer] = self._askers.get(peer, 0) + 1
            self.need(peer)

    def peer_found(self, peer: PeerID, record: SignedRecord | None, record_id: bytes, hints: Hints) -> None:
        """`record` is None when the one that we hold is still the newest."""
        self._look_ups.answered(peer)
        failure = "" if record is None else self._accept(peer, record)
        held = self._known.record(peer)
        if record is None and (held is None or held.record_id != record_id):
            failure = "the backbone did not give the record"
        self._tell_askers(peer, held if not failure else None, hints.online, failure)
        self._out.append(Found(peer, hints, failure))
        self._drain()

    def peer_not_found(self, peer: PeerID) -> None:
        self._look_ups.answered(peer)
        self._tell_askers(peer, None, None, "")
        self._out.append(Found(peer, None, "nobody has registered at the backbone under this name"))
        self._drain()

    def answered(self, peer: PeerID) -> None:
        """Somebody else takes care of the answer."""
        self._look_ups.answered(peer)
        self._drain()

    def look_up_failed(self, peer: PeerID, detail: str) -> None:
        self._look_ups.answered(peer)
        self._fail(peer, f"the look-up failed: {detail}")
        self._drain()

    def link_lost(self, reason: str) -> None:
        for peer in self._look_ups.clear():
            self._fail(peer, f"the backbone is not reached ({reason})")

    def poll(self) -> FinderOutput | None:
        return self._out.popleft() if self._out else None

    def _accept(self, peer: PeerID, record: SignedRecord) -> str:
        """Why the record is not believed; empty when it is, or is the one that we hold."""
        held = self._known.record(peer)
        try:
            self._known.accept(peer, record)
        except RecordRefused as refused:
            if refused.reason is Refusal.STALE:
                return ""
            if refused.reason is Refusal.EQUIVOCATION and held is not None:
                ids = f"{held.record_id.hex()} and {record.record_id.hex()}"
                self._out.append(Notice(WARNING, f"{peer} has signed two records with one number: {ids}"))
            return str(refused)
        self._out.append(SaveRecord(record))
        if held is not None and _of_sessions(held) != _of_sessions(record):
            self._out.append(KeysChanged(peer))
        return ""

    def _fail(self, peer: PeerID, failure: str) -> None:
        self._tell_askers(peer, None, None, failure)
        self._out.append(Found(peer, None, failure))

    def _tell_askers(self, peer: PeerID, record: SignedRecord | None, online: bool | None, failure: str) -> None:
        for _ in range(self._askers.pop(peer, 0)):
            self._out.append(LookedUp(peer, record, "backbone", online, failure))

    def _drain(self) -> None:
        while (request := self._look_ups.poll()) is not None:
            self._out.append(request)


def _of_sessions(record: SignedRecord) -> tuple[bytes, int, int]:
    """What of a record a session is made with."""
    return record.record.wireguard_key, record.record.capabilities, record.record.min_suite
