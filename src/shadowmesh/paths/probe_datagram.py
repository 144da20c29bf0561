"""The datagram of a path probe and of its reply, 70 bytes each, or a probe of 1,312. Spec: docs/spec/paths.md, 5.1.

| offset | bytes | field | meaning |
| 0  | 1  | type     | 0x44 probe, 0x45 reply |
| 1  | 1  | version  | 1 |
| 2  | 2  | flags    | probe: 1 if it only compares paths; else 0 |
| 4  | 8  | tag      | names the session, derived from its probe key |
| 12 | 16 | txid     | chosen by the prober, echoed |
| 28 | 8  | sent_at  | microseconds by the prober's clock, rising within a session, echoed |
| 36 | 18 | observed | reply: the endpoint that the probe came from; probe: zero |
| 54 | 16 | mac      | HMAC-SHA-256 under the sender's key, cut to 16 bytes |
| 70 |    | padding  | zero; in a full-size probe, and only there |
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass, field

from shadowmesh.identity.names import PeerID
from shadowmesh.wire.endpoint import ENDPOINT_BYTES, Endpoint
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.first_byte import ControlType

PROBE_BYTES = 70
FULL_SIZE_BYTES = 1312  # what a full packet of the overlay makes: 1,280 bytes sealed, with 32 around them
TAG_BYTES = 8
TXID_BYTES = 16
MAC_BYTES = 16
_VERSION = 1
_COMPARES = 1
_HEAD = struct.Struct(f"!BBH{TAG_BYTES}s{TXID_BYTES}sQ{ENDPOINT_BYTES}s")
_NO_ENDPOINT = bytes(ENDPOINT_BYTES)
_TYPES = (ControlType.PROBE, ControlType.PROBE_REPLY)


class BadMac(ValueError):
    """The datagram was not made with the sender's key of this session."""


@dataclass(frozen=True, slots=True)
class ProbeKeys:
    """What both sides derive from a session's probe key. One key a direction: a reflected datagram is refused."""

    tag: bytes
    sending: bytes = field(repr=False)
    receiving: bytes = field(repr=False)

    @classmethod
    def derive(cls, probe_key: bytes, own: PeerID, peer: PeerID) -> ProbeKeys:
        tag = hmac.digest(probe_key, b"shadowmesh/v1/probe-tag", "sha256")[:TAG_BYTES]
        return cls(tag, _direction(probe_key, own), _direction(probe_key, peer))


@dataclass(frozen=True, slots=True)
class ProbeDatagram:
    """A probe (`observed` is None) or the reply to one, which is no longer, so that nothing is amplified.

    A probe that only `compares` paths tells nothing of where its sender's packets come from.
    """

    tag: bytes
    txid: bytes
    sent_at_us: int
    observed: Endpoint | None = None
    compares: bool = False

    @property
    def is_reply(self) -> bool:
        return self.observed is not None

    def encode(self, keys: ProbeKeys, *, full_size: bool = False) -> bytes:
        kind = ControlType.PROBE_REPLY if self.is_reply else ControlType.PROBE
        observed = _NO_ENDPOINT if self.observed is None else self.observed.encode()
        flags = _COMPARES if self.compares else 0
        head = _HEAD.pack(kind, _VERSION, flags, self.tag, self.txid, self.sent_at_us, observed)
        return (head + _mac(keys.sending, head)).ljust(FULL_SIZE_BYTES if full_size else PROBE_BYTES, b"\0")

    @classmethod
    def decode(cls, data: bytes) -> ProbeDatagram:
        """Checks the form; `check_mac` comes next, when the tag has named the session. Raises DecodeError."""
        if len(data) not in (PROBE_BYTES, FULL_SIZE_BYTES):
            raise DecodeError(f"probe: {len(data)} bytes, want {PROBE_BYTES} or {FULL_SIZE_BYTES}")
        kind, version, flags, tag, txid, sent_at_us, observed = _HEAD.unpack_from(data)
        if kind not in _TYPES or version != _VERSION:
            raise DecodeError("probe: not type 0x44 or 0x45, version 1")
        if kind == ControlType.PROBE:
            if observed != _NO_ENDPOINT or flags & ~_COMPARES or any(data[PROBE_BYTES:]):
                raise DecodeError("probe: an observed endpoint, an unknown flag or padding that is not zero")
            return cls(tag, txid, sent_at_us, compares=bool(flags))
        if flags or len(data) != PROBE_BYTES:
            raise DecodeError("probe: a reply with flags or padding")
        return cls(tag, txid, sent_at_us, Endpoint.decode(observed))

    @staticmethod
    def check_mac(data: bytes, keys: ProbeKeys) -> None:
        """Raises BadMac. `data` has passed `decode`."""
        if not hmac.compare_digest(data[_HEAD.size : PROBE_BYTES], _mac(keys.receiving, data[: _HEAD.size])):
            raise BadMac("probe: bad MAC")


def _direction(probe_key: bytes, sender: PeerID) -> bytes:
    return hmac.digest(probe_key, b"shadowmesh/v1/probe-mac" + sender.raw, "sha256")


def _mac(key: bytes, head: bytes) -> bytes:
    return hmac.digest(key, head, "sha256")[:MAC_BYTES]
