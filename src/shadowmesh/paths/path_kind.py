"""What kind of path one is, for people. Spec: docs/spec/control.md, section 3.2."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from shadowmesh.paths.candidates import Candidate, CandidateKind, is_near
from shadowmesh.paths.nat_behaviour import Mapping
from shadowmesh.wire.endpoint import Endpoint


class PathKind(Enum):
    LAN = "LAN"
    DIRECT_IPV6 = "direct IPv6"
    DIRECT_IPV4 = "direct IPv4"
    THROUGH_NAT = "through NAT"


def path_kind(path: Endpoint, own: Sequence[Endpoint], own_mapping: Mapping, theirs: Sequence[Candidate]) -> PathKind:
    """`own`: addresses of our host. `theirs`: what the peer has told of itself in a call; () when nothing."""
    if is_near(path, own):
        return PathKind.LAN
    if path.address.version == 6:
        return PathKind.DIRECT_IPV6
    hosts = [candidate.endpoint for candidate in theirs if candidate.kind is CandidateKind.HOST]
    is_translated = own_mapping not in (Mapping.UNKNOWN, Mapping.NONE) or (bool(theirs) and path not in hosts)
    return PathKind.THROUGH_NAT if is_translated else PathKind.DIRECT_IPV4
