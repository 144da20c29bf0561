"""What comes out of the handshaker."""

from dataclasses import dataclass, field
from enum import Enum

from shadowmesh.identity.names import PeerID
from shadowmesh.records.peer_record import SignedRecord
from shadowmesh.session.cipher import Cipher
from shadowmesh.wire.endpoint import Endpoint


class Role(Enum):
    INITIATOR = "initiator"
    RESPONDER = "responder"


@dataclass(frozen=True, slots=True)
class SessionEstablished:
    """Both sides have proved their ML-DSA-87 keys. A later one for the same peer replaces the one before."""

    peer: PeerID
    role: Role
    record: SignedRecord = field(repr=False)  # the newest of the peer's that we hold, verified
    wireguard_key: bytes  # the peer's X25519 key, 32 bytes, as signed in the exchange
    endpoint: Endpoint  # where the exchange took place
    psk: bytes = field(repr=False)  # 32 bytes
    probe_key: bytes = field(repr=False)  # 32 bytes: authenticates path probes of this session
    cipher: Cipher  # of the packets; the PSK is for no other
    took_s: float  # from the first message sent or received


@dataclass(frozen=True, slots=True)
class PeerAuthenticated:
    """Half-way, as initiator: the peer has proved its key and we have the PSK; whether it accepts us is still open.

    A tunnel that is installed now can be ready when the peer's answer comes. SessionEstablished or HandshakeFailed
    follows, or the session that the peer began at the same time.
    """

    peer: PeerID
    wireguard_key: bytes
    endpoint: Endpoint
    psk: bytes = field(repr=False)
    cipher: Cipher


class FailureReason(Enum):
    TIMEOUT = "no answer on any address within 30 s"
    WRONG_KEY = "the answer was not signed by the key that is trusted"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class HandshakeFailed:
    """Only for attempts that we began."""

    peer: PeerID
    reason: FailureReason


class DropReason(Enum):
    """One counter each; nothing from the network raises."""

    MALFORMED = "malformed"
    UNKNOWN_CONNECTION = "unknown connection"
    REASSEMBLY_FULL = "too many reassemblies"
    HALF_OPEN_FULL = "too many half-open handshakes"
    UNTRUSTED = "untrusted peer"
    NO_RECORD = "no record of the peer"
    RECORD_REFUSED = "record refused"
    BAD_SIGNATURE = "bad signature"
    UNDECRYPTABLE = "undecryptable"
    REPLAYED = "replayed"
    SUPERSEDED = "superseded by our own attempt"


@dataclass(frozen=True, slots=True)
class CookiesDemanded:
    """Whether the engine is to hand up an M1 only with a cookie, however few come."""

    demanded: bool


SessionEvent = PeerAuthenticated | SessionEstablished | HandshakeFailed | CookiesDemanded
