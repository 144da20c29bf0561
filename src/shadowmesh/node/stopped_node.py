"""The trust list of a node that does not run: its files, changed under its lock and by its rules."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import TracebackType
from typing import Self

from shadowmesh.control import schema
from shadowmesh.control.home import Home
from shadowmesh.mesh.errors import MeshError
from shadowmesh.mesh.trust import TrustList
from shadowmesh.node import identity_file, reports
from shadowmesh.node.commands import refusal, trusted_peer
from shadowmesh.node.lock import HomeLock
from shadowmesh.node.peer_names import find_trusted
from shadowmesh.node.storage import Storage


class StoppedNode:
    """Every method raises ShadowMeshError."""

    def __init__(self, home: Home, lock: HomeLock) -> None:
        self._lock = lock
        self._storage = Storage(home, lambda line: print(line, file=sys.stderr))  # noqa: T201 - the daemon's is the log
        self._state = self._storage.load()
        self._trust = TrustList(identity_file.facts(home).fingerprint, self._state.trusted)

    @classmethod
    def open(cls, home: Home) -> Self:
        """Raises HomeInUse when a daemon has just been started, IdentityProblem where there is no node."""
        identity_file.facts(home)
        lock = HomeLock.acquire(home)
        try:
            return cls(home, lock)
        except BaseException:
            lock.release()
            raise

    def trusted(self) -> schema.TrustListDocument:
        return reports.trust_list(self._trust.all())

    def trust(self, request: schema.TrustRequest) -> schema.TrustedDocument:
        entry = trusted_peer(request)
        try:
            self._trust.add(entry)
        except MeshError as error:
            raise refusal(error) from None
        self._save()
        return schema.TrustedDocument(peer=reports.trusted(entry))

    def untrust(self, request: schema.PeerRequest) -> schema.TrustedDocument:
        entry = find_trusted(request.peer, self._trust.all())
        self._trust.remove(entry.fingerprint)
        self._save()
        return schema.TrustedDocument(peer=reports.trusted(entry))

    def _save(self) -> None:
        self._storage.save(replace(self._state, trusted=self._trust.all()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
