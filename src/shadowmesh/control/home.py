"""Where a node keeps what: one folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MAX_SOCKET_PATH_BYTES = 107
"""Linux keeps a Unix socket's path in 108 bytes, the last of them zero (unix(7))."""
_ROOT_FOLDER = Path("/var/lib/shadowmesh")


@dataclass(frozen=True, slots=True)
class Home:
    """Names only: nothing here touches the disk."""

    folder: Path

    @property
    def key(self) -> Path:
        return self.folder / "key.json"

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def state(self) -> Path:
        return self.folder / "state.json"

    @property
    def records(self) -> Path:
        """A file a peer."""
        return self.folder / "records"

    @property
    def backbone_keys(self) -> Path:
        """Public keys of backbone nodes, a file a fingerprint."""
        return self.folder / "backbone-keys"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def log(self) -> Path:
        return self.folder / "log.jsonl"

    @property
    def control_socket(self) -> Path:
        return self.folder / "control.sock"

    @property
    def control_socket_fits(self) -> bool:
        return len(os.fsencode(self.control_socket)) <= MAX_SOCKET_PATH_BYTES


def default_home() -> Home:
    """/var/lib/shadowmesh for root, the user's state folder for others (XDG_STATE_HOME on Linux)."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Home(_ROOT_FOLDER)
    from platformdirs import user_state_path

    return Home(user_state_path("shadowmesh", appauthor=False))
