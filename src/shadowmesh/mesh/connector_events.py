"""What the connector tells the mesh, besides what it wants sent, and what it is told of the backbone link."""

from __future__ import annotations

from dataclasses import dataclass

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.candidates import Candidate
from shadowmesh.paths.nat_behaviour import NatBehaviour


@dataclass(frozen=True, slots=True)
class LinkView:
    """What the connector must know of the link to the backbone."""

    online: bool = False  # look-ups are answered
    updates_open: bool = False  # calls are passed on
    pending: bool = False  # a log-in is under way
    reason: str = "no log-in was tried yet"  # why it is offline


@dataclass(frozen=True, slots=True)
class RecordNeeded:
    """Ask the backbone; the answer goes to `Connector.looked_up`."""

    peer: PeerID


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """`asked`: a command or a packet waits for the result."""

    peer: PeerID
    reason: str
    asked: bool


@dataclass(frozen=True, slots=True)
class PunchWanted:
    """Both sides know the token and each other's addresses: open a path. Ends with PunchEnded, or by PunchOver."""

    peer: PeerID
    token: bytes
    candidates: tuple[Candidate, ...]
    own_nat: NatBehaviour
    peer_nat: NatBehaviour


@dataclass(frozen=True, slots=True)
class CandidatesLearnt:
    """A peer with a session has told where it may be reached now.

    `path_in_doubt`: it has called, as its path is silent or its addresses are others. Ours may be silent, unnoticed.
    """

    peer: PeerID
    path_in_doubt: bool


@dataclass(frozen=True, slots=True)
class PunchOver:
    """There is a session, or nobody wants one any more."""

    peer: PeerID
