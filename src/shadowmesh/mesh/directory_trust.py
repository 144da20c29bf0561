"""The directory that we believe, and how it is replaced."""

from __future__ import annotations

from collections.abc import Sequence

from shadowmesh.mesh.state import BackbonePin
from shadowmesh.records.directory import BackboneNode, Directory, DirectoryRefused, SignedDirectory
from shadowmesh.wire.errors import DecodeError


class DirectoryTrust:
    """The pins judge the first directory, each accepted one judges the next. A version never goes back."""

    def __init__(self, pins: Sequence[BackbonePin], saved: bytes) -> None:
        """`saved` was accepted before; what can't be read any more is left out."""
        self._pins = tuple(pin.fingerprint for pin in pins)
        self.encoded = b""
        self.directory: Directory | None = None
        if saved:
            try:
                self.directory = SignedDirectory.decode(saved).directory
                self.encoded = saved
            except DecodeError:
                pass

    @property
    def version(self) -> int:
        return 0 if self.directory is None else self.directory.version

    @property
    def nodes(self) -> tuple[BackboneNode, ...]:
        return () if self.directory is None else self.directory.nodes

    def receive(self, encoded: bytes, wall_now: float) -> str:
        """Why it is not believed; empty when it is."""
        trusted = self._pins if self.directory is None else tuple(node.fingerprint for node in self.nodes)
        try:
            signed = SignedDirectory.decode(encoded)
            signed.accept(trusted, now=wall_now, known_version=self.version)
        except (DecodeError, DirectoryRefused) as error:
            return str(error)
        self.encoded = encoded
        self.directory = signed.directory
        return ""
