"""The node's state as documents of the control API. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shadowmesh.control import schema
from shadowmesh.identity.names import Fingerprint
from shadowmesh.mesh.state import LinkState, LinkStatus, PeerStatus, TrustedPeer
from shadowmesh.paths.path_kind import PathKind
from shadowmesh.records.peer_record import Capability, Mode, SignedRecord
from shadowmesh.records.region import Region
from shadowmesh.session.cipher import Cipher


@dataclass(frozen=True, slots=True)
class Traffic:
    """Of one WireGuard peer, as the engine counted it."""

    rx_bytes: int = 0
    tx_bytes: int = 0
    handshake_age_s: float | None = None


def identity(fingerprint: Fingerprint) -> schema.Identity:
    peer = fingerprint.peer_id
    return schema.Identity(peer_id=str(peer), fingerprint=str(fingerprint), address=str(peer.overlay_address))


def trusted(entry: TrustedPeer) -> schema.Trusted:
    peer = entry.fingerprint.peer_id
    return schema.Trusted(
        fingerprint=str(entry.fingerprint), peer_id=str(peer), name=entry.name, address=str(peer.overlay_address)
    )


def trust_list(entries: Sequence[TrustedPeer]) -> schema.TrustListDocument:
    return schema.TrustListDocument(trusted=[trusted(entry) for entry in entries])


def link(status: LinkStatus, since_s: float) -> schema.Link:
    return schema.Link(
        state=_LINK_STATES[status.state],
        since_s=since_s,
        url=status.url,
        fingerprint=None if status.fingerprint is None else str(status.fingerprint),
        token_expires_at=status.token_expires_at,
        reason=status.reason,
        reflexive=[str(endpoint) for endpoint in status.reflexive],
        login_s=status.login_s,
        known=status.known,
    )


def peer(status: PeerStatus, traffic: Mapping[bytes, Traffic], now: float) -> schema.Peer:
    """`traffic` by WireGuard key; `now` on the clock of `status`."""
    counted = traffic.get(status.wireguard_key or b"", Traffic())
    return schema.Peer(
        peer_id=str(status.peer),
        fingerprint=str(status.fingerprint),
        name=status.name,
        address=str(status.peer.overlay_address),
        state=status.state.value,
        path=None if status.path is None else str(status.path),
        path_kind=None if status.path_kind is None else _PATH_KINDS[status.path_kind],
        path_narrow=status.path_narrow,
        rtt_s=status.rtt_s,
        probe_age_s=None if status.probed_at is None else max(0.0, now - status.probed_at),
        handshake_s=status.handshake_s,
        cipher=None if status.cipher is None else _CIPHERS[status.cipher],
        rx_bytes=counted.rx_bytes,
        tx_bytes=counted.tx_bytes,
        handshake_age_s=counted.handshake_age_s,
        reason=status.reason,
    )


def record_facts(signed: SignedRecord) -> schema.RecordFacts:
    record = signed.record
    return schema.RecordFacts(
        record_id=signed.record_id.hex(),
        sequence=record.sequence,
        issued_at=record.issued_at,
        expires_at=record.expires_at,
        mode=mode(record.mode),
        region=Region.of(record.region).label,
        capabilities=[bit.name.lower() for bit in Capability if record.capabilities & bit and bit.name],
        wireguard_key=base64.b64encode(record.wireguard_key).decode(),
        endpoints=[str(endpoint) for endpoint in record.endpoints],
        size_bytes=len(signed.encoded),
    )


def mode(value: Mode) -> schema.ModeName:
    return "public" if value is Mode.PUBLIC else "private"


_CIPHERS: dict[Cipher, schema.CipherName] = {
    Cipher.CHACHA20_POLY1305: "chacha20poly1305",
    Cipher.AES_256_GCM: "aes256gcm",
}

_PATH_KINDS: dict[PathKind, schema.PathKindName] = {
    PathKind.LAN: "LAN",
    PathKind.DIRECT_IPV6: "direct IPv6",
    PathKind.DIRECT_IPV4: "direct IPv4",
    PathKind.THROUGH_NAT: "through NAT",
}

_LINK_STATES: dict[LinkState, schema.LinkStateName] = {
    LinkState.OFFLINE: "offline",
    LinkState.LOGGING_IN: "logging in",
    LinkState.ONLINE: "online",
}
