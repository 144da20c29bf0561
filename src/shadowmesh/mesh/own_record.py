"""Our own signed record: when a new one is due, and what stands in it."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shadowmesh.identity.keys import Identity
from shadowmesh.mesh.state import MeshConfig
from shadowmesh.records.peer_record import (
    DEFAULT_TTL_PRIVATE_S,
    DEFAULT_TTL_PUBLIC_S,
    MAX_CLOCK_AHEAD_S,
    MAX_ENDPOINTS,
    REVOKED_SEQUENCE,
    Mode,
    PeerRecord,
    SignedRecord,
)
from shadowmesh.wire.clock import WallClock
from shadowmesh.wire.endpoint import Endpoint

WIREGUARD_LABEL = b"shadowmesh/v1/wireguard-static"
MIN_CHANGE_INTERVAL_S = 60.0  # a changed address costs each subscriber 7.4 KB
_MAX_WALL_S = 2**40 - 1  # of the record format


class OwnRecord:
    """`record` is the present one. Whoever calls `renew` saves `sequence` before the record is used."""

    def __init__(
        self, identity: Identity, config: MeshConfig, saved_sequence: int, *, wall_clock: WallClock, now: float
    ) -> None:
        self._identity = identity
        self._config = config
        self._wall_clock = wall_clock
        self.wireguard_private_key = identity.derive(WIREGUARD_LABEL)
        private_key = X25519PrivateKey.from_private_bytes(self.wireguard_private_key)
        self.wireguard_key = private_key.public_key().public_bytes_raw()
        self.sequence = saved_sequence
        self._endpoints: tuple[Endpoint, ...] = ()
        self._wanted: tuple[Endpoint, ...] = ()
        self.record: SignedRecord
        self.renew(now)

    def set_endpoints(self, endpoints: Sequence[Endpoint]) -> None:
        """A PUBLIC node publishes the best four; a PRIVATE one publishes no address."""
        if self._config.mode is Mode.PUBLIC:
            self._wanted = _publishable(endpoints)

    @property
    def publishable(self) -> tuple[Endpoint, ...]:
        """What a PUBLIC node tells everybody: at most four endpoints."""
        return self._wanted

    def renew(self, now: float, *, above: int = 0) -> SignedRecord:
        """Makes and signs a record whose sequence number is above all that were used, and above `above`.

        Raises ValueError when there is no such number: the identity was revoked.
        """
        wall = min(max(0, int(self._wall_clock())), _MAX_WALL_S)
        sequence = max(self.sequence + 1, above + 1, wall * 1000)
        self._renewed_at = now
        self._endpoints = self._wanted
        if sequence >= REVOKED_SEQUENCE:
            raise ValueError("the identity was revoked")
        self.sequence = sequence
        public = self._config.mode is Mode.PUBLIC
        payload = PeerRecord(
            public=self._identity.public,
            sequence=self.sequence,
            issued_at=wall,
            ttl_s=DEFAULT_TTL_PUBLIC_S if public else DEFAULT_TTL_PRIVATE_S,
            wireguard_key=self.wireguard_key,
            mode=self._config.mode,
            capabilities=self._config.capabilities,
            region=self._config.region,
            endpoints=self._endpoints,
        )
        self.record = payload.sign(self._identity)
        return self.record

    def is_due(self, now: float) -> bool:
        """Half its life is over, our addresses changed, or the wall clock was set and now disagrees with it."""
        if now >= self.next_timeout():
            return True
        wall, record = self._wall_clock(), self.record.record
        valid = record.issued_at <= wall + MAX_CLOCK_AHEAD_S and wall < record.expires_at
        return not valid and now >= self._renewed_at + MIN_CHANGE_INTERVAL_S

    def next_timeout(self) -> float:
        if self._wanted != self._endpoints:
            # A node that starts learns its first addresses at once, and its record is of no use without them.
            return self._renewed_at + (MIN_CHANGE_INTERVAL_S if self._endpoints else 0.0)
        return self._renewed_at + self.record.record.ttl_s / 2


def _publishable(endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """Addresses of a home network help nobody outside: they are listed only when there is nothing better."""
    usable = [endpoint for endpoint in endpoints if not endpoint.address.is_link_local]
    outside = [endpoint for endpoint in usable if not _is_home(endpoint)]
    return tuple(dict.fromkeys(outside or usable))[:MAX_ENDPOINTS]


def _is_home(endpoint: Endpoint) -> bool:
    address = endpoint.address
    if address.version == 6:
        return address.packed[0] & 0xFE == 0xFC or address.is_loopback  # RFC 4193
    first, second = address.packed[:2]
    return first in (10, 127) or (first == 172 and 16 <= second < 32) or (first, second) == (192, 168)  # RFC 1918
