"""What the backbone link tells the mesh, besides requests for the shell."""

from __future__ import annotations

from dataclasses import dataclass

from shadowmesh.records.directory import Directory


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """Logged in, or lost. What can be asked is in the link's properties."""


@dataclass(frozen=True, slots=True)
class UpdatesOpened:
    """Live updates have begun: subscribe, send hints."""


@dataclass(frozen=True, slots=True)
class DirectoryAccepted:
    """A newer list of backbone nodes, believed. To be saved."""

    directory: Directory


@dataclass(frozen=True, slots=True)
class RecordOutrun:
    """The backbone holds a record of ours with the same or a higher sequence number than the one offered."""


LinkEvent = LinkChanged | UpdatesOpened | DirectoryAccepted | RecordOutrun
