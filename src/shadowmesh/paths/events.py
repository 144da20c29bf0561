"""What comes out of the path machines, besides `Transmit`."""

from __future__ import annotations

from dataclasses import dataclass

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.candidates import CandidateKind
from shadowmesh.paths.nat_behaviour import NatBehaviour
from shadowmesh.paths.punch_plan import Role
from shadowmesh.wire.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class PathMoved:
    """The peer answers at another endpoint than before, or through another local port (`via`, 0: the main one)."""

    peer: PeerID
    path: Endpoint
    via: int = 0


@dataclass(frozen=True, slots=True)
class PathNarrow:
    """What is longer than 1,280 bytes, headers included, is lost on the path. Repeated every five minutes."""

    peer: PeerID


@dataclass(frozen=True, slots=True)
class PathSilent:
    """The peer does not answer, at its path or elsewhere: it is probed on, but another path is to be looked for."""

    peer: PeerID


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


@dataclass(frozen=True, slots=True)
class NatChanged:
    """More, or something else, is known of our NAT."""

    behaviour: NatBehaviour


@dataclass(frozen=True, slots=True)
class PathFound:
    """The peer has answered there: datagrams pass both ways, through the local port `via` (0: the main one)."""

    peer: PeerID
    path: Endpoint
    via: int
    rtt_s: float
    kind: CandidateKind


@dataclass(frozen=True, slots=True)
class PortLearnt:
    """A probe of the peer came in through a port besides the main one: what goes back goes through it too."""

    peer: PeerID
    source: Endpoint
    via: int


@dataclass(frozen=True, slots=True)
class PortsWanted:
    """Open that many more UDP ports; the answer goes to `ports_opened` of who asked. `peer`: None for ourselves."""

    peer: PeerID | None
    count: int


@dataclass(frozen=True, slots=True)
class PortsReleased:
    """Close these."""

    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PunchEnded:
    """All that could be tried was tried. `found`: some path was opened."""

    peer: PeerID
    found: bool
    role: Role
    probes_sent: int


ProbeEvent = PathMoved | PathNarrow | PathSilent | PathLost | PingDone
