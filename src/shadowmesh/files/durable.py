"""Atomic, durable replacement of a file, private from its first byte."""

import os
import tempfile
from pathlib import Path

PRIVATE_FILE_MODE = 0o600
PRIVATE_FOLDER_MODE = 0o700
_TEMPORARY_SUFFIX = ".shadowmesh-new"
_STALE_AFTER_S = 60  # a write takes seconds: an older temporary file was left by a process that died


def make_private_folder(folder: Path) -> None:
    """With mode 0700 where it is made; an existing folder keeps its mode. Raises OSError."""
    folder.mkdir(mode=PRIVATE_FOLDER_MODE, parents=True, exist_ok=True)


def replace(path: Path, data: bytes) -> None:
    """After it returns, a power cut leaves `data` in `path`; before, the old content. Mode 0600. Raises OSError."""
    temporary = _write_beside(path, data)
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def create(path: Path, data: bytes) -> None:
    """As `replace`, but raises FileExistsError rather than touch a file that is there. Raises OSError."""
    temporary = _write_beside(path, data)
    try:
        os.link(temporary, path)  # unlike rename, link never replaces
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _write_beside(path: Path, data: bytes) -> Path:
    # mkstemp opens with O_EXCL and mode 0600, whatever the umask.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_TEMPORARY_SUFFIX, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _sweep_leftovers(path, temporary)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _sweep_leftovers(path: Path, temporary: Path) -> None:
    """What a process that was killed left of `path`. Ages are compared by the file system's clock."""
    written_at = temporary.stat().st_mtime
    for other in path.parent.iterdir():
        if other.name.startswith(f".{path.name}.") and other.name.endswith(_TEMPORARY_SUFFIX):
            try:
                if written_at - other.stat().st_mtime > _STALE_AFTER_S:
                    other.unlink()
            except FileNotFoundError:
                pass  # another process was faster


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows has no handle to a folder that could be synced
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
