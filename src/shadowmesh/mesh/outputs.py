"""What a node's shell must do: values that come out of `Mesh.poll()`, besides `Transmit`."""

from __future__ import annotations

from dataclasses import dataclass, field

from shadowmesh.backbone_protocol.updates import ClientMessage
from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.paths.lan.discovery import Announce
from shadowmesh.records.peer_record import SignedRecord
from shadowmesh.session.cipher import Cipher
from shadowmesh.session.events import CookiesDemanded
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import CloseId, OpenId
from shadowmesh.wire.transmit import Transmit

# To the engine, besides OpenId, CloseId and CookiesDemanded, which say what control datagrams it is to hand up.


@dataclass(frozen=True, slots=True)
class InstallPeer:
    """Engine.add_peer. A peer is installed only with the PSK of an established session."""

    wireguard_key: bytes
    psk: bytes = field(repr=False)
    path: Endpoint
    allowed_ips: tuple[str, ...]  # prefixes
    initiate: bool
    cipher: Cipher
    via: int = 0  # local port towards the path; 0 is the main one


@dataclass(frozen=True, slots=True)
class SetPath:
    wireguard_key: bytes
    path: Endpoint
    via: int = 0  # as of InstallPeer


@dataclass(frozen=True, slots=True)
class PathIsNarrow:
    """Full packets are lost on the peer's path: fragments of them are to be sent. Repeated while it is so."""

    wireguard_key: bytes


@dataclass(frozen=True, slots=True)
class RemovePeer:
    wireguard_key: bytes


@dataclass(frozen=True, slots=True)
class OpenPorts:
    """Open that many more UDP ports. Answer: `ports_opened`, for the same peer, or for None."""

    peer: PeerID | None
    count: int


@dataclass(frozen=True, slots=True)
class ClosePorts:
    ports: tuple[int, ...]


# To the backbone client. At most one LogIn, Renew or FetchDirectory is outstanding at a time; each request is answered
# by exactly one of the inputs that its docstring names.


@dataclass(frozen=True, slots=True)
class LogIn:
    """Answer: `logged_in` or `backbone_failed`. The server must prove the key with this fingerprint."""

    url: str
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class Renew:
    """Answer: `renewed` or `backbone_failed`."""


@dataclass(frozen=True, slots=True)
class FetchDirectory:
    """Answer: `directory_received` or `backbone_failed`."""


@dataclass(frozen=True, slots=True)
class PublishRecord:
    """Answer: `published` or `backbone_failed`."""

    record: SignedRecord = field(repr=False)


@dataclass(frozen=True, slots=True)
class LookUp:
    """Answer: `peer_found`, `peer_not_found` or `look_up_failed`."""

    peer: PeerID
    have: bytes | None  # first 8 bytes of the record id that is held


@dataclass(frozen=True, slots=True)
class OpenUpdates:
    """Opens the WebSocket. Answer: `updates_opened`, and `updates_closed` when it is lost or can't be opened.

    One that is open, or being opened, is dropped without a word, as are idle connections: the network has changed.
    """


@dataclass(frozen=True, slots=True)
class SendUpdate:
    """Through the open WebSocket; dropped when it has just closed."""

    message: ClientMessage


@dataclass(frozen=True, slots=True)
class LeaveBackbone:
    """Drop the connections and the token: another backbone node is tried next, or the node stops."""


# To the disk.


@dataclass(frozen=True, slots=True)
class SaveState:
    """Something that must survive kill -9 changed: write `Mesh.saved_state()` durably before the next output."""


@dataclass(frozen=True, slots=True)
class SaveRecord:
    """A verified record: keep its bytes, so that it need not be fetched or verified again."""

    record: SignedRecord = field(repr=False)


# To people and programs.


@dataclass(frozen=True, slots=True)
class PeerConnected:
    peer: PeerID
    path: Endpoint
    handshake_s: float  # wall time of the post-quantum exchange


@dataclass(frozen=True, slots=True)
class PeerDisconnected:
    peer: PeerID
    reason: str


@dataclass(frozen=True, slots=True)
class ConnectFailed:
    """An attempt that a command or a packet asked for came to nothing; the reason is one clear line for a person."""

    peer: PeerID
    reason: str


@dataclass(frozen=True, slots=True)
class Ponged:
    """The answer to `ping`. `rtt_s` is None when it was lost."""

    peer: PeerID
    path: Endpoint
    sequence: int
    rtt_s: float | None


@dataclass(frozen=True, slots=True)
class LookedUp:
    """The answer to `look_up`; `record` is None when nobody knows the peer. `source`: "cache" or "backbone"."""

    peer: PeerID
    record: SignedRecord | None = field(repr=False)
    source: str
    online: bool | None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class NetworkChecked:
    """The answer to `check_network`: `Mesh.network` is as of now."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A line for the log. Never a secret."""

    level: int  # logging.INFO and so on
    text: str


Output = (
    Transmit
    | InstallPeer
    | SetPath
    | PathIsNarrow
    | RemovePeer
    | OpenPorts
    | ClosePorts
    | OpenId
    | CloseId
    | CookiesDemanded
    | Announce
    | LogIn
    | Renew
    | FetchDirectory
    | PublishRecord
    | LookUp
    | OpenUpdates
    | SendUpdate
    | LeaveBackbone
    | SaveState
    | SaveRecord
    | PeerConnected
    | PeerDisconnected
    | ConnectFailed
    | Ponged
    | LookedUp
    | NetworkChecked
    | Notice
)
