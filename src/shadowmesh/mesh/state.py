"""What a node keeps across restarts, and what it tells of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.paths.path_kind import PathKind
from shadowmesh.records.cache_entry import CacheEntry
from shadowmesh.records.peer_record import Mode, SignedRecord
from shadowmesh.session.cipher import Cipher
from shadowmesh.wire.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class TrustedPeer:
    fingerprint: Fingerprint
    name: str = ""  # the owner's name for it; unique when not empty


@dataclass(frozen=True, slots=True)
class BackbonePin:
    """A backbone node that the owner chose: its key is known before it is ever asked."""

    url: str
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class MeshConfig:
    backbones: tuple[BackbonePin, ...] = ()
    mode: Mode = Mode.PRIVATE
    region: int = 0
    capabilities: int = 0


@dataclass(frozen=True, slots=True)
class SavedState:
    """Small, and written whole. Records are kept beside it, a file each."""

    trusted: tuple[TrustedPeer, ...] = ()
    cache: tuple[CacheEntry, ...] = ()  # at most 100
    record_sequence: int = 0  # of our own record, never reused
    directory: bytes = b""  # the last accepted directory
    records: tuple[SignedRecord, ...] = field(default=(), repr=False)  # verified before they were saved


class LinkState(Enum):
    """The node's link to the backbone."""

    OFFLINE = "offline"
    LOGGING_IN = "logging in"
    ONLINE = "online"


class PeerState(Enum):
    IDLE = "idle"  # trusted, nobody wants to talk
    LOOKING_UP = "looking up"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    UNREACHABLE = "unreachable"  # retried at `retry_at`


@dataclass(frozen=True, slots=True)
class PeerStatus:
    peer: PeerID
    fingerprint: Fingerprint
    name: str
    state: PeerState
    path: Endpoint | None
    rtt_s: float | None  # of the last probe that came back
    probed_at: float | None  # when that was, on the machine's clock
    handshake_s: float | None  # how long the post-quantum exchange of the present session took
    cipher: Cipher | None  # of the packets
    wireguard_key: bytes | None  # set while connected
    reason: str  # why it is not connected, or does not answer just now, for a person
    path_kind: PathKind | None = None
    path_narrow: bool = False


@dataclass(frozen=True, slots=True)
class LinkStatus:
    state: LinkState
    url: str
    fingerprint: Fingerprint | None
    token_expires_at: int | None  # seconds since 1970
    reason: str  # why it is offline, for a person
    reflexive: tuple[Endpoint, ...]  # as STUN servers see us
    login_s: float | None  # how long the last successful log-in took
    known: int  # backbone nodes that we could go to
