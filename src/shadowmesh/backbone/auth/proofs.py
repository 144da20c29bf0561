"""Checks proofs of possession, each of them once."""

from __future__ import annotations

import hashlib

from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.limits.bounded_table import BoundedTable
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.proof import Proof
from shadowmesh.wire.errors import DecodeError

# 16 bytes of key hash and a number: about 12 MB. See ProofChecker for what a forgotten counter lets happen.
MAX_COUNTERS = 65_536


class ProofChecker:
    """Remembers the last counter under each key K.

    A counter is forgotten at a restart, and when the table is full. Then an old request can be repeated once more,
    by somebody who saw it inside TLS, and it does no harm: a publish repeated is stale, a revocation repeated revokes
    the same token, and a renewal repeated answers with a token that is good for nothing without K but look-ups,
    which the token in the same request was good for as well.
    """

    def __init__(self, *, most: int = MAX_COUNTERS) -> None:
        self._counters: BoundedTable[bytes, int] = BoundedTable(most)

    def check(self, header: str | None, key: bytes, method: str, path: str, body: bytes) -> None:
        """Raises Refused (PROOF_MISSING, PROOF_INVALID, PROOF_REPLAYED)."""
        if header is None:
            raise Refused(Problem.PROOF_MISSING)
        try:
            proof = Proof.parse(header)
        except DecodeError as error:
            raise Refused(Problem.PROOF_INVALID, str(error)) from None
        if not proof.proves(key, method, path, body):
            raise Refused(Problem.PROOF_INVALID)
        name = hashlib.sha256(key).digest()[:16]
        last = self._counters.get(name)
        if last is not None and proof.counter <= last:
            raise Refused(Problem.PROOF_REPLAYED)
        self._counters.put(name, proof.counter)
