"""Announces us in the LAN, recognises peers that announce themselves, exchanges records. Spec: docs/spec/lan.md."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.paths.lan.announcement import MAX_TAGS, TAG_GROUP, Announcement
from shadowmesh.paths.lan.pair_secret import NONCE_BYTES, TAG_BYTES, PairSecret, tag_of
from shadowmesh.paths.lan.per_second import PerSecond
from shadowmesh.paths.lan.record_fetch import RecordFetch
from shadowmesh.paths.lan.record_transfer import (
    RECORD_PREFIX_BYTES,
    RecordChunk,
    RecordRequest,
    open_sealed,
    seal,
    split,
    tag_in,
)
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy, jitter
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.first_byte import ControlType
from shadowmesh.wire.open_ids import IdTable, OpenIds
from shadowmesh.wire.transmit import Transmit

BURST_OFFSETS_S = (0.0, 1.0, 3.0)  # radio loses multicast, which nobody acknowledges
INTERVAL_S = (54.0, 66.0)  # afterwards, while somebody is missing: who was asleep is found within a minute
MIN_BURST_INTERVAL_S = 5.0  # a peer that comes and goes makes no flood
KEPT_ANNOUNCEMENTS = 4  # a burst and one more: who asks for a record has just heard one
MAX_CHECKED = 20  # announcements a second: each costs a hash for each trusted peer, 1 ms for 1,000
MAX_SERVED = 64  # chunks a second: eight records, 77 KB
SIGHTING_S = 5.0  # one address of a peer is acted on once in this time,
MAX_SIGHTINGS = 4  # and so many addresses of one peer: it has a few, whoever forges has many
MAX_FETCHES = 8
DATAGRAM_TYPES = (ControlType.LAN_RECORD_REQUEST, ControlType.LAN_RECORD_CHUNK)


@dataclass(frozen=True, slots=True)
class AnnouncementDue:
    """Answer with `announce`."""


@dataclass(frozen=True, slots=True)
class Announce:
    """Send it to the group, from each of our addresses."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class PeerNear:
    """Who knows the fingerprints of us both says that this peer is there. Its record can be had with `fetch`."""

    peer: PeerID
    endpoint: Endpoint
    secret: PairSecret


@dataclass(frozen=True, slots=True)
class RecordFetched:
    """Unverified."""

    peer: PeerID
    endpoint: Endpoint
    record: bytes = field(repr=False)


LanOutput = Transmit | AnnouncementDue | Announce | PeerNear | RecordFetched


class LanDrop(Enum):
    MALFORMED = "lan: malformed"
    STRANGER = "lan: not for us"
    TOO_MANY = "lan: too many"


class LanDiscovery:
    """After each call: drain `poll()`, then read `next_timeout()`."""

    def __init__(self, own: Fingerprint, *, entropy: Entropy, ids: OpenIds) -> None:
        self._own = own
        self._entropy = entropy
        self._ids = ids
        self._port = 0
        self._endpoints: tuple[Endpoint, ...] = ()
        self._burst_at = float("-inf")
        self._sent = 0  # of the burst
        self._due_at: float | None = None
        self._next_peer = 0  # where the next announcement goes on, of more peers than one holds
        self._announced: IdTable[tuple[Fingerprint, bytes]] = IdTable(ids)  # by tag: to whom, and the nonce
        self._announcements: deque[tuple[bytes, ...]] = deque()  # the tags of each
        self._sightings: dict[PeerID, dict[Endpoint, float]] = {}
        self._fetches: dict[tuple[bytes, Endpoint], RecordFetch] = {}
        self._checked = PerSecond(MAX_CHECKED)
        self._served = PerSecond(MAX_SERVED)
        self._out: deque[LanOutput] = deque()
        self._drops: Counter[str] = Counter()

    def set_endpoints(self, endpoints: Sequence[Endpoint], now: float) -> None:
        """Our addresses with the node's port; none: we are on no network."""
        chosen = tuple(endpoints)
        if chosen == self._endpoints:
            return
        self._endpoints = chosen
        self._port = chosen[0].port if chosen else 0
        self._sightings.clear()
        self._due_at = None
        if chosen:
            self._begin_burst(now)

    def hurry(self, now: float) -> None:
        """A peer is missing that was not before."""
        if self._due_at is None:
            return
        may_begin_at = self._burst_at + MIN_BURST_INTERVAL_S
        if now >= may_begin_at:
            self._begin_burst(now)
        else:
            self._due_at = min(self._due_at, may_begin_at)

    def announce(self, peers: Sequence[Fingerprint]) -> None:
        """To those who are missing; to nobody when there are none."""
        chosen = [peers[(self._next_peer + number) % len(peers)] for number in range(min(MAX_TAGS, len(peers)))]
        self._next_peer = (self._next_peer + MAX_TAGS) % len(peers) if len(peers) > MAX_TAGS else 0
        if not chosen:
            return
        nonce = self._entropy(NONCE_BYTES)
        tags = {tag_of(self._own, peer, nonce): (peer, nonce) for peer in chosen}
        self._keep(tags)
        filling = (self._entropy(TAG_BYTES) for _ in range(-len(tags) % TAG_GROUP))
        self._out.append(Announce(Announcement(self._port, nonce, tuple(sorted([*tags, *filling]))).encode()))

    def forget(self, peer: PeerID) -> None:
        """No longer trusted."""
        for tag in [tag for tag, (to, _) in self._announced.items() if to.peer_id == peer]:
            del self._announced[tag]
        self._end_fetches(peer)

    def receive_announcement(self, data: bytes, source: Endpoint, missing: Sequence[Fingerprint], now: float) -> None:
        """From the group. `missing`: the trusted peers that are not connected."""
        if not self._checked.take(now):
            self._drop(LanDrop.TOO_MANY)
            return
        try:
            announcement = Announcement.decode(data)
        except DecodeError:
            self._drop(LanDrop.MALFORMED)
            return
        tags = set(announcement.tags)
        peer = next((each for each in missing if tag_of(each, self._own, announcement.nonce) in tags), None)
        if peer is None:
            self._drop(LanDrop.STRANGER)
            return
        endpoint = Endpoint(source.address, announcement.port)
        if self._is_new(peer.peer_id, endpoint, now):
            secret = PairSecret.derive(peer, self._own, announcement.nonce)
            self._out.append(PeerNear(peer.peer_id, endpoint, secret))

    def fetch(self, peer: Fingerprint, near: PeerNear, now: float) -> None:
        """Its record, from where it was seen. Ends with RecordFetched, or with nothing."""
        key = near.secret.tag, near.endpoint
        if len(self._fetches) < MAX_FETCHES and key not in self._fetches:
            self._ids.open(near.secret.tag)
            self._fetches[key] = RecordFetch(peer, near.secret, near.endpoint, now)
            self.handle_timeout(now)

    def receive_datagram(self, data: bytes, source: Endpoint, record: bytes, record_id: bytes, now: float) -> None:
        """On the node's port: a request for our record, or a chunk of somebody's."""
        try:
            tag = tag_in(data)
            if data[0] == ControlType.LAN_RECORD_REQUEST:
                self._receive_request(data, tag, source, record, record_id, now)
            else:
                self._receive_chunk(data, tag, source)
        except DecodeError:
            self._drop(LanDrop.MALFORMED)

    def handle_timeout(self, now: float) -> None:
        if self._due_at is not None and now >= self._due_at:
            self._schedule(now)
            self._out.append(AnnouncementDue())
        for key, fetch in list(self._fetches.items()):
            if now < fetch.due_at:
                continue
            if fetch.is_hopeless:
                self._end_fetch(key)
            else:
                fetch.rounds += 1
                self._ask(fetch)

    def next_timeout(self) -> float | None:
        deadlines = [self._due_at, *(fetch.due_at for fetch in self._fetches.values())]
        return min((at for at in deadlines if at is not None), default=None)

    def poll(self) -> LanOutput | None:
        return self._out.popleft() if self._out else None

    @property
    def drops(self) -> Mapping[str, int]:
        return self._drops

    def _begin_burst(self, now: float) -> None:
        self._burst_at = self._due_at = now
        self._sent = 0
        self.handle_timeout(now)

    def _schedule(self, now: float) -> None:
        self._sent += 1
        if self._sent < len(BURST_OFFSETS_S):
            self._due_at = now + BURST_OFFSETS_S[self._sent] - BURST_OFFSETS_S[self._sent - 1]
        else:
            self._due_at = now + jitter(self._entropy, *INTERVAL_S)

    def _is_new(self, peer: PeerID, endpoint: Endpoint, now: float) -> bool:
        seen = self._sightings.get(peer, {})
        recent = {each: at for each, at in seen.items() if now < at + SIGHTING_S}
        self._sightings[peer] = recent
        if endpoint in recent or len(recent) >= MAX_SIGHTINGS:
            return False
        recent[endpoint] = now
        return True

    def _receive_request(
        self, data: bytes, tag: bytes, source: Endpoint, record: bytes, record_id: bytes, now: float
    ) -> None:
        asker = self._announced.get(tag)
        if asker is None:
            self._drop(LanDrop.STRANGER)
            return
        secret = PairSecret.derive(self._own, *asker)
        request = open_sealed(data, secret)
        chunks = split(record, record_id[:RECORD_PREFIX_BYTES])
        if not self._served.take(now):
            self._drop(LanDrop.TOO_MANY)
        elif isinstance(request, RecordRequest) and request.index < len(chunks):
            self._out.append(Transmit(seal(chunks[request.index], secret, self._entropy), source))

    def _receive_chunk(self, data: bytes, tag: bytes, source: Endpoint) -> None:
        fetch = self._fetches.get((tag, source))
        if fetch is None:
            self._drop(LanDrop.STRANGER)
            return
        chunk = open_sealed(data, fetch.secret)
        if not isinstance(chunk, RecordChunk):
            return
        is_first = fetch.add(chunk)
        record = fetch.record
        if record is not None:
            self._end_fetches(fetch.peer.peer_id)
            self._out.append(RecordFetched(fetch.peer.peer_id, fetch.source, record))
        elif is_first:
            self._ask(fetch)

    def _ask(self, fetch: RecordFetch) -> None:
        for index in fetch.missing:
            request = seal(RecordRequest(index), fetch.secret, self._entropy)
            self._out.append(Transmit(request, fetch.source))

    def _end_fetches(self, peer: PeerID) -> None:
        for key in [key for key, fetch in self._fetches.items() if fetch.peer.peer_id == peer]:
            self._end_fetch(key)

    def _end_fetch(self, key: tuple[bytes, Endpoint]) -> None:
        tag, _ = key
        del self._fetches[key]
        self._ids.close(tag)

    def _keep(self, tags: Mapping[bytes, tuple[Fingerprint, bytes]]) -> None:
        if len(self._announcements) == KEPT_ANNOUNCEMENTS:
            for tag in self._announcements.popleft():
                self._announced.pop(tag, None)
        self._announcements.append(tuple(tags))
        self._announced.update(tags)

    def _drop(self, reason: LanDrop) -> None:
        self._drops[reason.value] += 1
