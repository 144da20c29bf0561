"""The data folder: all that a backbone node keeps, and the lock that lets one process write there."""

from __future__ import annotations

import os
from pathlib import Path

from shadowmesh.backbone.errors import CannotStart
from shadowmesh.files import durable
from shadowmesh.identity import key_file
from shadowmesh.identity.keys import Identity
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.errors import DecodeError

try:
    import fcntl
except ImportError:  # Windows: the lock file alone is no lock there
    fcntl = None  # type: ignore[assignment]


class DataFolder:
    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def identity(self) -> Path:
        return self.path / "identity.json"

    @property
    def token_keys(self) -> Path:
        return self.path / "token_keys.json"

    @property
    def database(self) -> Path:
        return self.path / "registry.sqlite"

    @property
    def directory(self) -> Path:
        return self.path / "directory.cose"

    @property
    def node(self) -> Path:
        return self.path / "node.json"

    def open(self) -> FolderLock:
        """Makes the folder where there is none. Raises CannotStart, also when another process writes there."""
        try:
            durable.make_private_folder(self.path)
            return FolderLock(self.path / "lock")
        except BlockingIOError:
            raise CannotStart(f"{self.path}: another backbone process uses this data folder") from None
        except OSError as error:
            raise CannotStart(f"{self.path}: cannot be used as data folder ({error.strerror})") from None

    def load_identity(self) -> Identity:
        """Raises CannotStart."""
        try:
            return key_file.decode(self.identity.read_bytes(), None)
        except FileNotFoundError:
            raise CannotStart(f"{self.path}: no identity here; `shadowmesh backbone run` makes one") from None
        except (OSError, DecodeError, key_file.PassphraseNeeded) as error:
            raise CannotStart(f"{self.identity}: {error}") from None

    def load_or_make_identity(self, entropy: Entropy) -> Identity:
        """Raises CannotStart."""
        if not self.identity.exists():
            try:
                durable.create(self.identity, key_file.encode(Identity.generate(entropy), None, entropy))
            except (OSError, RuntimeError) as error:
                raise CannotStart(f"{self.identity}: {error}") from None
        return self.load_identity()


class FolderLock:
    """Held until it is closed or the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        """Raises BlockingIOError when another process holds it, OSError."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, durable.PRIVATE_FILE_MODE)
        try:
            if fcntl is not None:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise

    def close(self) -> None:
        os.close(self._descriptor)
