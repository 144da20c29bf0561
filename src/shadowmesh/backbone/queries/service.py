"""Look-up of a peer: its hints always, its record only for who does not hold it yet."""

from __future__ import annotations

from functools import lru_cache

from shadowmesh.backbone.clock import Clock
from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.limits.bounded_table import BoundedTable
from shadowmesh.backbone.limits.rates import RateLimiter, Rates
from shadowmesh.backbone.registry.service import Registry
from shadowmesh.backbone.updates.presence import Presence
from shadowmesh.backbone_protocol.body import CBOR_MEDIA_TYPE, encode_cbor, encode_json
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.queries import HAVE_BYTES, PeerReply
from shadowmesh.identity.names import FINGERPRINT_BYTES, PEER_ID_BYTES, Fingerprint, PeerID, parse_name
from shadowmesh.wire.errors import DecodeError

MAX_PREPARED = 16_384  # replies of about 200 bytes: 8 MB with their keys


class Queries:
    def __init__(self, registry: Registry, presence: Presence, rates: Rates, clock: Clock) -> None:
        self._registry = registry
        self._presence = presence
        self._lookups_per_peer = RateLimiter(rates.lookups_per_peer, clock)
        # (peer, media type) -> (record_id, hints, encoded reply without the record)
        self._prepared: BoundedTable[tuple[PeerID, str], tuple[bytes, bytes, bytes]] = BoundedTable(MAX_PREPARED)

    async def look_up(self, caller: PeerID, name: str, have: str, media_type: str) -> bytes:
        """An encoded PeerReply. `have`: 16 hex digits or nothing. Raises Refused."""
        self._lookups_per_peer.take(caller.raw)
        wanted = _wanted(name)
        peer = wanted.peer_id if isinstance(wanted, Fingerprint) else wanted
        record = await self._registry.find(peer)
        if record is None:
            raise Refused(Problem.PEER_UNKNOWN)
        if isinstance(wanted, Fingerprint) and record.decode().record.public.fingerprint != wanted:
            raise Refused(Problem.PEER_UNKNOWN, "another key has the same PeerID")
        hints = self._presence.hints(record)
        if not _begins_with(record.record_id, have):
            return _encode(PeerReply(record.record_id, hints, record.encoded), media_type)
        prepared = self._prepared.get((peer, media_type))
        if prepared is None or prepared[0] != record.record_id or prepared[1] != hints:
            prepared = (record.record_id, hints, _encode(PeerReply(record.record_id, hints), media_type))
            self._prepared.put((peer, media_type), prepared)
        return prepared[2]


@lru_cache(4096)
def _wanted(name: str) -> PeerID | Fingerprint:
    """From the text form, or 40 or 64 hex digits. Raises Refused (MALFORMED)."""
    try:
        raw = bytes.fromhex(name) if len(name) in (2 * PEER_ID_BYTES, 2 * FINGERPRINT_BYTES) else b""
    except ValueError:
        raw = b""
    if len(raw) == PEER_ID_BYTES:
        return PeerID(raw)
    if len(raw) == FINGERPRINT_BYTES:
        return Fingerprint(raw)
    try:
        return parse_name(name)
    except DecodeError as error:
        raise Refused(Problem.MALFORMED, str(error)) from None


def _begins_with(record_id: bytes, have: str) -> bool:
    if not have:
        return False
    try:
        prefix = bytes.fromhex(have)
    except ValueError:
        prefix = b""
    if len(prefix) != HAVE_BYTES or len(have) != 2 * HAVE_BYTES:
        raise Refused(Problem.MALFORMED, f"have is not {2 * HAVE_BYTES} hex digits")
    return record_id.startswith(prefix)


def _encode(reply: PeerReply, media_type: str) -> bytes:
    return encode_cbor(reply) if media_type == CBOR_MEDIA_TYPE else encode_json(reply)
