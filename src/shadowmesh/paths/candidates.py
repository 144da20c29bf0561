"""Which endpoints to try for a peer, and in which order. Spec: docs/spec/paths.md, section 2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Network, ip_network
from typing import Self

from shadowmesh.wire.endpoint import ENDPOINT_BYTES, Endpoint
from shadowmesh.wire.errors import DecodeError

CANDIDATE_BYTES = 1 + ENDPOINT_BYTES

MAX_CANDIDATES = 8  # a handshake sends its first flight to each: 8 x 2.5 KB is what a hostile caller can make us send
_SUBNET_BITS = {4: 24, 6: 64}  # the usual size of a LAN; a wrong guess only changes the order
_THIS_NETWORK = ip_network("0.0.0.0/8")  # RFC 1122 §3.2.1.3
_BROADCAST = IPv4Address("255.255.255.255")


class CandidateKind(IntEnum):
    """How an address was learnt (RFC 8445 section 5.1.1)."""

    HOST = 1  # of an interface
    SERVER_REFLEXIVE = 2  # as an observer saw it
    MAPPED = 3  # opened at the router by PCP, NAT-PMP or UPnP
    PEER_REFLEXIVE = 4  # as a probe of the peer has shown it: known on one side only, and never sent


_SENT_KINDS = (CandidateKind.HOST, CandidateKind.SERVER_REFLEXIVE, CandidateKind.MAPPED)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Where a peer may be reached."""

    kind: CandidateKind
    endpoint: Endpoint

    def encode(self) -> bytes:
        """19 bytes."""
        return bytes([self.kind]) + self.endpoint.encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises DecodeError."""
        if len(data) != CANDIDATE_BYTES:
            raise DecodeError(f"candidate: {len(data)} bytes, want {CANDIDATE_BYTES}")
        if data[0] not in _SENT_KINDS:
            raise DecodeError(f"candidate: no kind {data[0]}")
        return cls(CandidateKind(data[0]), Endpoint.decode(data[1:]))


@dataclass(frozen=True, slots=True)
class KnownEndpoints:
    """What is known of where a peer may be, by source."""

    last: Endpoint | None = None  # where the last session was
    near: Sequence[Endpoint] = ()  # where it has announced itself in our LAN
    call: Sequence[Endpoint] = ()
    hints: Sequence[Endpoint] = ()
    record: Sequence[Endpoint] = ()


def order_candidates(known: KnownEndpoints, own: Sequence[Endpoint], overlay: IPv6Network) -> tuple[Endpoint, ...]:
    """At most eight distinct usable endpoints: the last one that worked, those of our own subnets, then the freshest.

    All are tried at once; the order only decides which are left out when there are more.
    """
    last = [] if known.last is None else [known.last]
    rest = [*known.near, *known.call, *known.hints, *known.record]
    near = [endpoint for endpoint in rest if is_near(endpoint, own)]
    distinct = dict.fromkeys([*last, *near, *rest])
    usable = [endpoint for endpoint in distinct if is_usable(endpoint, own, overlay)]
    return tuple(usable[:MAX_CANDIDATES])


def is_usable(endpoint: Endpoint, own: Iterable[Endpoint], overlay: IPv6Network) -> bool:
    """Whether a datagram sent there could reach a peer.

    Test networks (198.18.0.0/15, 2001:db8::/32) and private ranges are as good as any. Loopback is good only
    for a node that is itself on loopback; an overlay address would carry the mesh inside itself.
    """
    address = endpoint.address
    if address.is_multicast or address.is_unspecified or address in _THIS_NETWORK or address == _BROADCAST:
        return False
    if address in overlay or (address.version == 6 and address.is_link_local):  # link-local needs a scope: RFC 4007 §6
        return False
    if address.is_loopback and not any(mine.address.is_loopback for mine in own):
        return False
    return endpoint not in own


def is_near(endpoint: Endpoint, own: Sequence[Endpoint]) -> bool:
    """Whether it seems to be in one of our own subnets."""
    return any(_prefix(endpoint) == _prefix(mine) for mine in own)


def _prefix(endpoint: Endpoint) -> tuple[int, int]:
    address = endpoint.address
    return address.version, int(address) >> address.max_prefixlen - _SUBNET_BITS[address.version]
