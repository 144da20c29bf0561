"""Home folders and what stands in them."""

from __future__ import annotations

import os
from pathlib import Path

from shadowmesh.control.home import Home
from shadowmesh.identity import key_file
from shadowmesh.identity.keys import Identity
from shadowmesh.identity.names import Fingerprint
from shadowmesh.node.storage import Storage
from shadowmesh.records.peer_record import DEFAULT_TTL_PRIVATE_S, PeerRecord, SignedRecord


def home_with_identity(folder: Path, identity: Identity) -> Home:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    home = Home(folder)
    home.key.write_bytes(key_file.encode(identity, None, os.urandom))
    return home


def storage_in(folder: Path) -> Storage:
    """One that must find nothing damaged."""

    def unexpected(line: str) -> None:
        raise AssertionError(line)

    return Storage(Home(folder), unexpected)


def fingerprint(number: int) -> Fingerprint:
    return Fingerprint(number.to_bytes(32, "big"))


def record_of(identity: Identity, *, sequence: int = 1, issued_at: int = 1_790_000_000) -> SignedRecord:
    return PeerRecord(identity.public, sequence, issued_at, DEFAULT_TTL_PRIVATE_S, bytes(range(32))).sign(identity)
