"""What a node keeps in its home folder besides its key: the state file, records, and backbone nodes' keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from shadowmesh.control.home import Home
from shadowmesh.files import durable
from shadowmesh.identity.keys import PUBLIC_KEY_BYTES, PublicIdentity
from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.mesh.state import SavedState
from shadowmesh.node import state_file
from shadowmesh.node.errors import HomeUnusable
from shadowmesh.records.peer_record import MAX_RECORD_BYTES, SignedRecord
from shadowmesh.wire.errors import DecodeError

RECORD_SUFFIX = ".record"
KEY_SUFFIX = ".key"
DAMAGED_SUFFIX = ".damaged"

T = TypeVar("T")


class Storage:
    """Its caller holds the home folder's lock. A damaged file is set aside and never read again."""

    def __init__(self, home: Home, report: Callable[[str], None]) -> None:
        """`report` takes one line for each file set aside. Raises HomeUnusable."""
        self._home = home
        self._report = report
        try:
            durable.make_private_folder(home.records)
            durable.make_private_folder(home.backbone_keys)
        except OSError as error:
            raise HomeUnusable(f"{home.folder} can't be written ({error.strerror})", "check its owner") from None

    def load(self) -> SavedState:
        """Records of peers that are neither trusted nor in the cache are deleted. Raises HomeUnusable."""
        state = self._read(self._home.state, state_file.MAX_STATE_BYTES, state_file.decode) or SavedState()
        wanted = {peer.fingerprint.peer_id for peer in state.trusted}
        wanted |= {entry.fingerprint.peer_id for entry in state.cache}
        records = []
        for path in sorted(self._home.records.glob(f"*{RECORD_SUFFIX}")):
            record = self._read(path, MAX_RECORD_BYTES, SignedRecord.decode)
            if record is None:
                continue
            if record.peer_id in wanted and path == self._record_path(record.peer_id):
                records.append(record)
            else:
                path.unlink(missing_ok=True)
        return replace(state, records=tuple(records))

    def save(self, state: SavedState) -> None:
        """All of it but the records, durably. Raises HomeUnusable."""
        self._write(self._home.state, state_file.encode(state))

    def save_record(self, record: SignedRecord) -> None:
        """Raises HomeUnusable."""
        self._write(self._record_path(record.peer_id), record.encoded)

    def backbone_key(self, fingerprint: Fingerprint) -> PublicIdentity | None:
        """The key that was saved, if it still is the fingerprint's. Raises HomeUnusable."""

        def decode(data: bytes) -> PublicIdentity:
            identity = PublicIdentity(data)
            if identity.fingerprint != fingerprint:
                raise DecodeError("not the key of its name")
            return identity

        return self._read(self._key_path(fingerprint), PUBLIC_KEY_BYTES, decode)

    def save_backbone_key(self, identity: PublicIdentity) -> None:
        """Raises HomeUnusable."""
        self._write(self._key_path(identity.fingerprint), identity.public_key)

    def _record_path(self, peer: PeerID) -> Path:
        return self._home.records / f"{peer}{RECORD_SUFFIX}"

    def _key_path(self, fingerprint: Fingerprint) -> Path:
        return self._home.backbone_keys / f"{fingerprint}{KEY_SUFFIX}"

    def _read(self, path: Path, max_bytes: int, decode: Callable[[bytes], T]) -> T | None:
        try:
            with path.open("rb") as file:
                return decode(file.read(max_bytes + 1))
        except FileNotFoundError:
            return None
        except DecodeError as error:
            aside = path.with_name(path.name + DAMAGED_SUFFIX)
            path.replace(aside)
            self._report(f"{path} is damaged ({error}); it is set aside as {aside.name} and the node starts without it")
            return None
        except OSError as error:
            raise HomeUnusable(f"{path} can't be read ({error.strerror})", "check its owner and mode") from None

    def _write(self, path: Path, data: bytes) -> None:
        try:
            durable.replace(path, data)
        except OSError as error:
            raise HomeUnusable(f"{path} can't be written ({error.strerror})", "check the disk and the owner") from None
