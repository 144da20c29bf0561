"""The signed record of a peer: its durable facts, about 7.3 KB. Spec: docs/spec/records.md, section 2."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import Enum, IntFlag
from ipaddress import ip_address
from typing import Any

from shadowmesh.identity.keys import PUBLIC_KEY_BYTES, BadSignature, Identity, PublicIdentity
from shadowmesh.identity.names import PEER_ID_BYTES, PeerID
from shadowmesh.records.cose import Sign1, sign1
from shadowmesh.records.fields import Fields
from shadowmesh.wire import cbor
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError

RECORD_AAD = b"shadowmesh/record/v1"
MAX_RECORD_BYTES = 8192
RECORD_VERSION = 1
SUITE_1 = 1
"""ML-DSA-87, ML-KEM-1024, SHA-256, WireGuard: the one suite."""
MAX_TIME = 2**40 - 1  # seconds since 1970
MAX_TTL_S = 7 * 86400
DEFAULT_TTL_PRIVATE_S = 24 * 3600
DEFAULT_TTL_PUBLIC_S = 6 * 3600
MAX_CLOCK_AHEAD_S = 300
REVOKED_SEQUENCE = 2**64 - 1
MAX_ENDPOINTS = 4
MAX_HOME_RELAYS = 3


class Mode(Enum):
    PRIVATE = 0
    PUBLIC = 1


class Capability(IntFlag):
    """Bits of field 6. Bits that we don't know are kept and ignored."""

    DHT_SERVER = 1
    RELAY = 2
    TCP_443 = 4
    AES_256_GCM = 8


class Refusal(Enum):
    """Why a record is not accepted; each has a problem type of its own in the query API."""

    WRONG_PEER = "the record's key is not the one that this PeerID names"
    STALE = "a record with the same or a higher sequence number is known"
    EQUIVOCATION = "another record with the same sequence number is known"
    FROM_THE_FUTURE = "the record was issued more than 300 s in the future"
    EXPIRED = "the record has expired"
    BAD_SIGNATURE = "the record's signature does not verify"


class RecordRefused(ValueError):
    """A record of legal form that must not be believed."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Lease:
    """IPv4 address that the backbone leased, and the sequence number that settles a conflict."""

    address: bytes  # 4 bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class Operator:
    """Who may claim this peer on the chain."""

    chain_id: int
    contract: bytes  # 20 bytes
    address: bytes  # 20 bytes


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """The payload of a record. `unknown` keeps fields of later versions, so that a re-encoding is the same bytes."""

    public: PublicIdentity
    sequence: int
    issued_at: int  # seconds since 1970
    ttl_s: int
    wireguard_key: bytes  # X25519, 32 bytes
    mode: Mode = Mode.PRIVATE
    capabilities: int = 0
    region: int = 0
    endpoints: tuple[Endpoint, ...] = ()
    home_relays: tuple[PeerID, ...] = ()
    lease: Lease | None = None
    operator: Operator | None = None
    min_suite: int = SUITE_1
    flags: int = 0
    unknown: dict[int, Any] = field(default_factory=dict)

    @property
    def expires_at(self) -> int:
        return self.issued_at + self.ttl_s

    @property
    def revoked(self) -> bool:
        return self.sequence == REVOKED_SEQUENCE

    def sign(self, identity: Identity) -> SignedRecord:
        """Raises ValueError when the key is not the record's or a field is out of its bounds."""
        if identity.public != self.public:
            raise ValueError("a record is signed by the key that it describes")
        encoded = sign1(_encode(self), identity, external_aad=RECORD_AAD)
        return SignedRecord.decode(encoded)


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """A record as it was received: the bytes are kept, stored and passed on, never re-encoded."""

    encoded: bytes = field(repr=False)
    record: PeerRecord
    _envelope: Sign1 = field(repr=False)

    @classmethod
    def decode(cls, data: bytes) -> SignedRecord:
        """Checks form and bounds, not belief: see `accept`. Raises DecodeError."""
        envelope = Sign1.decode(data, max_bytes=MAX_RECORD_BYTES, what="record")
        payload = cbor.decode(envelope.payload, max_bytes=MAX_RECORD_BYTES, what="record payload")
        return cls(data, _decode(payload), envelope)

    @property
    def peer_id(self) -> PeerID:
        return self.record.public.peer_id

    @property
    def record_id(self) -> bytes:
        """SHA-256 of the encoded record, 32 bytes."""
        return hashlib.sha256(self.encoded).digest()

    def accept(self, wanted: PeerID, *, now: float, known: SignedRecord | None = None) -> None:
        """The acceptance rules, cheapest first. `now`: seconds since 1970. Raises RecordRefused.

        A record that equals `known` is STALE: there is nothing to store. EQUIVOCATION is said of a verified signature
        only, or anybody could accuse a peer of it.
        """
        if self.peer_id != wanted:
            raise RecordRefused(Refusal.WRONG_PEER)
        if known is not None and (self.record.sequence < known.record.sequence or self.encoded == known.encoded):
            raise RecordRefused(Refusal.STALE)
        if self.record.issued_at > now + MAX_CLOCK_AHEAD_S:
            raise RecordRefused(Refusal.FROM_THE_FUTURE)
        if now >= self.record.expires_at:
            raise RecordRefused(Refusal.EXPIRED)
        self.verify()
        if known is not None and self.record.sequence == known.record.sequence:
            raise RecordRefused(Refusal.EQUIVOCATION)

    def verify(self) -> None:
        """The signature alone, about 0.2 ms. Raises RecordRefused."""
        try:
            self._envelope.verify(self.record.public, external_aad=RECORD_AAD)
        except BadSignature:
            raise RecordRefused(Refusal.BAD_SIGNATURE) from None


def revocation(record: PeerRecord, *, now: int) -> PeerRecord:
    """The last record of an identity: the highest sequence number and nowhere to reach it."""
    return replace(record, sequence=REVOKED_SEQUENCE, issued_at=now, ttl_s=MAX_TTL_S, endpoints=(), home_relays=())


_V, _PK, _SEQ, _ISSUED, _TTL, _WG, _CAPS, _REGION, _ENDPOINTS, _RELAYS, _LEASE, _OPERATOR, _SUITE = range(13)


def _encode(record: PeerRecord) -> bytes:
    payload: dict[int, Any] = {
        _V: RECORD_VERSION,
        _PK: record.public.public_key,
        _SEQ: record.sequence,
        _ISSUED: record.issued_at,
        _TTL: record.ttl_s,
        _WG: record.wireguard_key,
        _CAPS: [record.mode.value, record.capabilities],
        _REGION: record.region,
        _SUITE: [record.min_suite, record.flags],
        **record.unknown,
    }
    if record.endpoints:
        payload[_ENDPOINTS] = [[endpoint.address.packed, endpoint.port] for endpoint in record.endpoints]
    if record.home_relays:
        payload[_RELAYS] = [relay.raw for relay in record.home_relays]
    if record.lease is not None:
        payload[_LEASE] = [record.lease.address, record.lease.sequence]
    if record.operator is not None:
        payload[_OPERATOR] = [record.operator.chain_id, record.operator.contract, record.operator.address]
    return cbor.encode(payload)


def _decode(payload: Any) -> PeerRecord:
    fields = Fields(payload, "record")
    fields.refuse_critical()
    fields.uint(_V, RECORD_VERSION, lowest=RECORD_VERSION)
    mode, capabilities = fields.uints(_CAPS, 2, 0xFFFF)
    suite, flags = fields.uints(_SUITE, 2, 0xFFFF)
    if mode not in (0, 1):
        raise DecodeError("record: neither PRIVATE nor PUBLIC")
    record = PeerRecord(
        public=PublicIdentity(fields.octets(_PK, PUBLIC_KEY_BYTES)),
        sequence=fields.uint(_SEQ, REVOKED_SEQUENCE),
        issued_at=fields.uint(_ISSUED, MAX_TIME),
        ttl_s=fields.uint(_TTL, MAX_TTL_S, lowest=1),
        wireguard_key=fields.octets(_WG, 32),
        mode=Mode(mode),
        capabilities=capabilities,
        region=fields.uint(_REGION, 255),
        endpoints=tuple(_endpoint(item) for item in fields.items(_ENDPOINTS, MAX_ENDPOINTS)),
        home_relays=tuple(PeerID(raw) for raw in fields.all_octets(_RELAYS, PEER_ID_BYTES, MAX_HOME_RELAYS)),
        lease=_lease(fields[_LEASE]) if _LEASE in fields else None,
        operator=_operator(fields[_OPERATOR]) if _OPERATOR in fields else None,
        min_suite=suite,
        flags=flags,
        unknown=fields.above(_SUITE),
    )
    _check_meaning(record)
    return record


def _check_meaning(record: PeerRecord) -> None:
    if record.mode is Mode.PRIVATE and record.endpoints:
        raise DecodeError("record: a PRIVATE node publishes no address")
    if record.revoked and (record.endpoints or record.home_relays):
        raise DecodeError("record: a revocation that says where to reach the peer")
    if len(set(record.endpoints)) != len(record.endpoints):
        raise DecodeError("record: an endpoint twice")
    if len(set(record.home_relays)) != len(record.home_relays) or record.public.peer_id in record.home_relays:
        raise DecodeError("record: a home relay twice, or the peer itself")
    if record.min_suite < SUITE_1:
        raise DecodeError("record: no such suite")


def _endpoint(item: Any) -> Endpoint:
    fields = Fields.of_array(item, 2, "record: endpoint")
    address = fields[0]
    if not isinstance(address, bytes) or len(address) not in (4, 16):
        raise DecodeError("record: endpoint: an address is 4 or 16 bytes")
    endpoint = Endpoint(ip_address(address), fields.uint(1, 65535, lowest=1))
    if endpoint.address.packed != address:
        raise DecodeError("record: endpoint: an IPv4 address written as IPv6")
    return endpoint


def _lease(item: Any) -> Lease:
    fields = Fields.of_array(item, 2, "record: lease")
    return Lease(fields.octets(0, 4), fields.uint(1, 2**63 - 1))


def _operator(item: Any) -> Operator:
    fields = Fields.of_array(item, 3, "record: operator")
    return Operator(fields.uint(0, 2**63 - 1, lowest=1), fields.octets(1, 20), fields.octets(2, 20))
