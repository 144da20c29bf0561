"""What comes out of the path machines, besides `Transmit`."""

from __future__ import annotations

from dataclasses import dataclass

from shadowmesh.identity.names import PeerID
from shadowmesh.wire.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class PathMoved:
    """The peer answers at another endpoint than before."""

    peer: PeerID
    path: Endpoint


@dataclass(frozen=True, slots=True)
class PathLost:
    """Nothing was answered for a whole round of probes. The peer is probed no more."""

    peer: PeerID
    path: Endpoint


@dataclass(frozen=True, slots=True)
class PingDone:
    """`rtt_s` is None when no answer came in time."""

    peer: PeerID
    sequence: int
    path: Endpoint
    rtt_s: float | None


@dataclass(frozen=True, slots=True)
class ReflexiveChanged:
    """STUN servers see us at these endpoints, in the order of the servers asked."""

    endpoints: tuple[Endpoint, ...]


ProbeEvent = PathMoved | PathLost | PingDone
