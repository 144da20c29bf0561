"""Hints: unsigned, small, fast-changing facts, passed only over an authenticated hop.

The worst a false hint can do is a probe that fails, because the session authenticates the peer.
Spec: docs/spec/records.md, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shadowmesh.identity.names import PEER_ID_BYTES, PeerID
from shadowmesh.records.fields import Fields
from shadowmesh.wire import cbor
from shadowmesh.wire.endpoint import ENDPOINT_BYTES, Endpoint

MAX_HINTS_BYTES = 200
MAX_HINT_ENDPOINTS = 4
MAX_TIME = 2**40 - 1  # seconds since 1970
_ONLINE, _LAST_SEEN, _ENDPOINTS, _RELAY = range(4)


@dataclass(frozen=True, slots=True)
class Hints:
    """`endpoints` are filled for PUBLIC nodes only; PRIVATE ones give theirs to trusted peers when called."""

    online: bool
    last_seen_at: int  # seconds since 1970
    endpoints: tuple[Endpoint, ...] = ()
    relay: PeerID | None = None

    def encode(self) -> bytes:
        """Deterministic CBOR, at most 119 bytes. Raises ValueError for more than four endpoints, or a time below 0."""
        if len(self.endpoints) > MAX_HINT_ENDPOINTS:
            raise ValueError(f"{len(self.endpoints)} endpoints, at most {MAX_HINT_ENDPOINTS} allowed")
        if not 0 <= self.last_seen_at <= MAX_TIME:
            raise ValueError(f"last seen at {self.last_seen_at} is out of bounds")
        fields: dict[int, Any] = {_ONLINE: self.online, _LAST_SEEN: self.last_seen_at}
        if self.endpoints:
            fields[_ENDPOINTS] = [endpoint.encode() for endpoint in self.endpoints]
        if self.relay is not None:
            fields[_RELAY] = self.relay.raw
        return cbor.encode(fields)

    @classmethod
    def decode(cls, data: bytes) -> Hints:
        """Raises DecodeError. Unknown keys above 3 are ignored."""
        fields = Fields(cbor.decode(data, max_bytes=MAX_HINTS_BYTES, what="hints"), "hints")
        fields.refuse_critical()
        return cls(
            fields.boolean(_ONLINE),
            fields.uint(_LAST_SEEN, MAX_TIME),
            tuple(Endpoint.decode(raw) for raw in fields.all_octets(_ENDPOINTS, ENDPOINT_BYTES, MAX_HINT_ENDPOINTS)),
            PeerID(fields.octets(_RELAY, PEER_ID_BYTES)) if _RELAY in fields else None,
        )
