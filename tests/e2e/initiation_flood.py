"""Initiations of nobody, as many as it takes to put a device under load."""

import os
from contextlib import AbstractContextManager
from hashlib import blake2s

from shadowmesh.lab.host import Host

from .flood import Flood
from .flood import flood as flood_with
from .wire_tap import MAC_BYTES, Kind

INITIATION_BYTES = 148


def initiation(receiver: bytes) -> bytes:
    """148 bytes that only mac1 speaks for: it shows that the sender knows the receiver's public key."""
    body = bytes([Kind.INITIATION, 0, 0, 0]) + os.urandom(INITIATION_BYTES - 4 - 2 * MAC_BYTES)
    mac1_key = blake2s(b"mac1----" + receiver).digest()
    return body + blake2s(body, key=mac1_key, digest_size=MAC_BYTES).digest() + bytes(MAC_BYTES)


def flood(host: Host, receiver: bytes, target: tuple[str, int]) -> AbstractContextManager[Flood]:
    """Floods the target from all IPv4 addresses of the host, two ports of each, until the block is left."""
    return flood_with(host, [initiation(receiver) for _ in range(64)], target, cookie_reply=Kind.COOKIE_REPLY)
