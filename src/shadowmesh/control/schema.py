"""The documents of the control API and of `--json`, schema "shadowmesh/1". Spec: docs/spec/control.md.

Within version 1 fields are only added. Readers ignore fields that they don't know. `_s` is a duration in seconds,
`_at` a time in seconds since 1970, `_bytes` a count of bytes; null stands for what is not known.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

SCHEMA: Literal["shadowmesh/1"] = "shadowmesh/1"
MAX_DOCUMENT_BYTES = 1024 * 1024
"""100 peers are 50 KB; a reader takes no more than this."""
MAX_REQUEST_BYTES = 4096
NOT_UNDERSTOOD = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises for bytes that are not the JSON they should be."""
MAX_NAME_LENGTH = 63
"""As long as a DNS label (RFC 1035 §2.3.4)."""
MAX_PING_TIMEOUT_S = 60.0

ModeName = Literal["private", "public"]
LinkStateName = Literal["offline", "logging in", "online"]
PeerStateName = Literal["idle", "looking up", "connecting", "connected", "unreachable"]
PathKindName = Literal["LAN", "direct IPv6", "direct IPv4", "through NAT"]
CipherName = Literal["chacha20poly1305", "aes256gcm"]
SourceName = Literal["cache", "backbone", ""]
PeerText = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
"""A trusted name, a PeerID, a fingerprint or an overlay address, as a person writes it."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    schema: Literal["shadowmesh/1"] = SCHEMA


class Error(msgspec.Struct, frozen=True, kw_only=True):
    code: str  # errors.ErrorCode
    problem: str
    remedy: str


class ErrorDocument(Document, frozen=True, kw_only=True):
    error: Error


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    peer_id: str
    fingerprint: str
    address: str  # in the overlay, IPv6


class IdentityDocument(Document, frozen=True, kw_only=True):
    identity: Identity
    created: bool  # just now
    sealed: bool  # with a passphrase


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """The link to the backbone."""

    state: LinkStateName
    since_s: float  # how long it has been so
    url: str
    fingerprint: str | None
    token_expires_at: int | None
    reason: str  # why it is offline
    reflexive: list[str]  # our addresses as others see them
    login_s: float | None  # how long the last successful log-in took
    known: int  # backbone nodes that this node could go to


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    port: int  # UDP
    tun: str | None  # null: no device
    addresses: list[str]  # of this host, where peers may reach us
    drops: dict[str, int]  # datagrams and packets dropped, by reason, of engine and node


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    peer_id: str
    fingerprint: str
    name: str
    address: str  # in the overlay, IPv6
    state: PeerStateName
    path: str | None  # endpoint
    path_kind: PathKindName | None
    path_narrow: bool  # it loses full packets, which are sent in fragments
    rtt_s: float | None  # of the last probe that came back
    probe_age_s: float | None  # how long ago that was
    handshake_s: float | None  # how long the post-quantum exchange of this session took
    cipher: CipherName | None  # of its packets
    rx_bytes: int
    tx_bytes: int
    handshake_age_s: float | None  # of the last WireGuard handshake
    reason: str  # why it is not connected, or does not answer just now


class StatusDocument(Document, frozen=True, kw_only=True):
    version: str
    pid: int
    uptime_s: float
    mode: ModeName
    region: str
    identity: Identity
    link: Link
    engine: Engine
    peers: list[Peer]


class Trusted(msgspec.Struct, frozen=True, kw_only=True):
    fingerprint: str
    peer_id: str
    name: str
    address: str


class TrustListDocument(Document, frozen=True, kw_only=True):
    trusted: list[Trusted]


class TrustRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    fingerprint: Annotated[str, msgspec.Meta(max_length=128)]
    name: Annotated[str, msgspec.Meta(max_length=MAX_NAME_LENGTH)] = ""


class PeerRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    peer: PeerText


class TrustedDocument(Document, frozen=True, kw_only=True):
    """The entry that was added to the trust list, or taken from it."""

    peer: Trusted


class PingRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Connects first if need be. `timeout_s` is for all of it."""

    peer: PeerText
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=MAX_PING_TIMEOUT_S)] = 30.0


class PingDocument(Document, frozen=True, kw_only=True):
    peer_id: str
    path: str
    rtt_s: float | None  # null: lost
    connected_in_s: float | None  # when this ping had to connect first


class PingsDocument(Document, frozen=True, kw_only=True):
    """What `shadowmesh ping --json` prints."""

    peer: str
    pings: list[PingDocument]
    sent: int
    received: int


class RecordFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the peer's signed record says."""

    record_id: str  # hex
    sequence: int
    issued_at: int
    expires_at: int
    mode: ModeName
    region: str
    capabilities: list[str]
    wireguard_key: str  # base64, as WireGuard's tools write it
    endpoints: list[str]
    size_bytes: int


class LookupDocument(Document, frozen=True, kw_only=True):
    peer_id: str
    address: str
    found: bool
    source: SourceName
    online: bool | None
    took_s: float
    record: RecordFacts | None
    failure: str


class StoppingDocument(Document, frozen=True, kw_only=True):
    pid: int


class UpDocument(Document, frozen=True, kw_only=True):
    """What `shadowmesh up --detach --json` prints."""

    pid: int
    identity: Identity
    port: int
    tun: str | None


class LogsDocument(Document, frozen=True, kw_only=True):
    lines: list[msgspec.Raw]  # each a JSON object as logged
