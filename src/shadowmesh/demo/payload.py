"""The file that is sent through the tunnel."""

import hashlib
import os
from pathlib import Path

_BLOCK_BYTES = 1 << 20


def write_payload(path: Path, size: int) -> str:
    """Writes `size` bytes of which no two blocks are equal, and returns their SHA-256 in hex."""
    block = bytearray(os.urandom(_BLOCK_BYTES))
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for offset in range(0, size, _BLOCK_BYTES):
            block[:8] = offset.to_bytes(8, "big")
            piece = memoryview(block)[: min(_BLOCK_BYTES, size - offset)]
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()
