"""What the connector tells the mesh, besides what it wants sent, and what it is told of the backbone link."""

from __future__ import annotations

from dataclasses import dataclass

from shadowmesh.identity.names import PeerID


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
