"""The keys that tokens are made with: one a day, kept as long as a token of that day may live."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Literal

import msgspec

from shadowmesh.backbone.clock import Clock
from shadowmesh.backbone.errors import CannotStart
from shadowmesh.files import durable
from shadowmesh.identity.names import PeerID
from shadowmesh.wire.entropy import Entropy

TOKEN_KEY_BYTES = 32
_EPOCH_S = 86_400
_MAX_FILE_BYTES = 4096


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    format: Literal["shadowmesh-token-keys-1"]
    keys: dict[str, str]  # epoch: key in base64


class TokenKeys:
    """A `kid` is 16 hex digits of the issuer's PeerID, a dot, and the day since 1970 whose key it names."""

    def __init__(self, path: Path, issuer: PeerID, clock: Clock, entropy: Entropy) -> None:
        """Raises CannotStart when the file is there but cannot be read."""
        self._path = path
        self._issuer = issuer.raw[:8].hex()
        self._clock = clock
        self._entropy = entropy
        self._keys = _load(path)

    def current(self) -> tuple[str, bytes]:
        """The kid and the key to make tokens with. Writes a new key to the file once a day. Raises OSError."""
        today = self._today()
        if today not in self._keys:
            kept = {epoch: key for epoch, key in self._keys.items() if epoch >= today - 1}
            kept[today] = self._entropy(TOKEN_KEY_BYTES)
            self._save(kept)
            self._keys = kept
        return f"{self._issuer}.{today}", self._keys[today]

    def find(self, kid: str) -> bytes | None:
        """The key of today's or yesterday's tokens; None for any other `kid`."""
        issuer, _, epoch = kid.partition(".")
        if issuer != self._issuer or not (epoch.isascii() and epoch.isdigit() and len(epoch) < 8):
            return None
        if int(epoch) < self._today() - 1:
            return None
        return self._keys.get(int(epoch))

    def _today(self) -> int:
        return int(self._clock()) // _EPOCH_S

    def _save(self, keys: dict[int, bytes]) -> None:
        texts = {str(epoch): base64.b64encode(key).decode() for epoch, key in sorted(keys.items())}
        document = msgspec.json.encode(_Document("shadowmesh-token-keys-1", texts))
        durable.replace(self._path, msgspec.json.format(document, indent=2) + b"\n")


def _load(path: Path) -> dict[int, bytes]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CannotStart(f"{path}: {error.strerror}") from None
    try:
        if len(data) > _MAX_FILE_BYTES:
            raise ValueError("the file is too long")  # noqa: TRY301 - one place for all that is wrong with the file
        document = msgspec.json.decode(data, type=_Document)
        keys = {int(epoch): base64.b64decode(key, validate=True) for epoch, key in document.keys.items()}
        if any(len(key) != TOKEN_KEY_BYTES for key in keys.values()):
            raise ValueError("a key of the wrong length")  # noqa: TRY301
    except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
        raise CannotStart(f"{path}: not a file of token keys ({error}); move it away to begin with new ones") from None
    return keys
