"""The XOR metric on PeerIDs (Maymounkov and Mazières 2002, section 2.1)."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from shadowmesh.identity.names import PeerID


def distance(a: PeerID, b: PeerID) -> int:
    """0 for equal ids, below 2^160; symmetric, and each id has exactly one other at a given distance."""
    return int.from_bytes(a.raw, "big") ^ int.from_bytes(b.raw, "big")


def closest(target: PeerID, peers: Iterable[PeerID], count: int) -> list[PeerID]:
    """The `count` peers that are closest to `target`, nearest first."""
    return heapq.nsmallest(count, peers, key=lambda peer: distance(target, peer))
