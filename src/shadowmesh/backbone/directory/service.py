"""The directory that this node serves: the installed one, or its own while it is alone."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from shadowmesh.backbone.clock import Clock
from shadowmesh.backbone.directory.versions import next_version
from shadowmesh.backbone.errors import CannotStart
from shadowmesh.files import durable
from shadowmesh.identity.keys import Identity
from shadowmesh.records.directory import MAX_DIRECTORY_AGE_S, BackboneNode, Directory, SignedDirectory
from shadowmesh.wire.errors import DecodeError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServedDirectory:
    version: int
    expires_at: int
    encoded: bytes = field(repr=False)

    @property
    def etag(self) -> str:
        return f'"{self.version}"'


class DirectoryService:
    """Reads the file again when it has changed, so that `directory install` needs no restart."""

    def __init__(self, path: Path, identity: Identity, own: BackboneNode, clock: Clock) -> None:
        """Raises CannotStart when the file is there but cannot be read or made."""
        self._path = path
        self._identity = identity
        self._own = own
        self._clock = clock
        self._read_from: tuple[int, int, int] | None = None
        try:
            signed = self._read() if path.exists() else None
        except (DecodeError, OSError) as error:
            raise CannotStart(f"{path}: {error}") from None
        if signed is not None and self._usable(signed):
            self._signed = signed
        else:
            self._signed = self._issue(0 if signed is None else signed.directory.version)

    @property
    def current(self) -> ServedDirectory:
        directory = self._signed.directory
        return ServedDirectory(directory.version, directory.expires_at, self._signed.encoded)

    @property
    def version(self) -> int:
        return self._signed.directory.version

    def refresh(self) -> None:
        """Takes up a changed file, and signs a new version of our own before the old one expires."""
        try:
            if _identify(self._path) != self._read_from:
                self._take_up(self._read())
            if not self._usable(self._signed):
                self._signed = self._issue(self.version)
        except (DecodeError, OSError) as error:
            _LOG.warning("the directory stays at version %d: %s", self.version, error)

    def _take_up(self, signed: SignedDirectory) -> None:
        if not self._lists_us(signed.directory):
            _LOG.warning("the directory in the data folder does not list this node, version %d stays", self.version)
        elif signed.directory.version < self.version:
            _LOG.warning("the directory in the data folder is older, version %d stays", self.version)
        else:
            self._signed = signed
            _LOG.info("the directory is at version %d with %d nodes", self.version, len(signed.directory.nodes))

    def _usable(self, signed: SignedDirectory) -> bool:
        """A directory with others in it is theirs too: even expired, we cannot sign a new one alone."""
        directory = signed.directory
        if not self._lists_us(directory):
            return False
        if len(directory.nodes) > 1:
            return True
        half_way = (directory.issued_at + directory.expires_at) / 2
        return directory.nodes[0] == self._own and self._clock() < half_way

    def _issue(self, last_version: int) -> SignedDirectory:
        now = self._clock()
        version, issued_at = next_version(last_version, now=now), int(now)
        directory = Directory(version, issued_at, issued_at + MAX_DIRECTORY_AGE_S, (self._own,))
        signed = directory.sign(self._identity)
        durable.replace(self._path, signed.encoded)
        self._read_from = _identify(self._path)
        return signed

    def _read(self) -> SignedDirectory:
        self._read_from = _identify(self._path)
        return SignedDirectory.decode(self._path.read_bytes())

    def _lists_us(self, directory: Directory) -> bool:
        return any(node.fingerprint == self._identity.fingerprint for node in directory.nodes)


def _identify(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
