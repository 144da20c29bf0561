"""What the connector tells the mesh, besides what it wants sent."""

from __future__ import annotations

from dataclasses import dataclass

from shadowmesh.identity.names import PeerID


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
