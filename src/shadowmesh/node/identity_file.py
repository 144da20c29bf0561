"""The node's key file: made once, read at each start, never replaced."""

from __future__ import annotations

import os
from dataclasses import dataclass

import msgspec

from shadowmesh.control.home import Home
from shadowmesh.control.schema import NOT_UNDERSTOOD
from shadowmesh.files import durable
from shadowmesh.identity import key_file
from shadowmesh.identity.keys import Identity
from shadowmesh.identity.names import Fingerprint
from shadowmesh.node.errors import IdentityProblem
from shadowmesh.wire.errors import DecodeError


@dataclass(frozen=True, slots=True)
class KeyFileFacts:
    """What the key file says in the clear."""

    fingerprint: Fingerprint
    sealed: bool


class _Named(msgspec.Struct):
    fingerprint: str


def create(home: Home, passphrase: str | None) -> Identity:
    """Raises IdentityProblem, also when there is one already."""
    identity = Identity.generate(os.urandom)
    try:
        durable.make_private_folder(home.folder)
        durable.create(home.key, key_file.encode(identity, passphrase, os.urandom))
    except FileExistsError:
        raise IdentityProblem(
            f"{home.key} exists", "a lost key is a lost name: move the file away yourself, or choose another --home"
        ) from None
    except OSError as error:
        raise IdentityProblem(
            f"{home.key} can't be written ({error.strerror})", "run as the folder's owner, or choose another --home"
        ) from None
    return identity


def load(home: Home, passphrase: str | None) -> Identity:
    """Raises IdentityProblem."""
    try:
        return key_file.decode(_read(home), passphrase)
    except key_file.PassphraseNeeded:
        raise IdentityProblem(
            f"{home.key} is sealed with a passphrase", "give --passphrase-file or SHADOWMESH_PASSPHRASE_FILE"
        ) from None
    except key_file.WrongPassphrase:
        raise IdentityProblem(
            f"the passphrase does not open {home.key}", "give the one that it was made with"
        ) from None
    except DecodeError as error:
        raise _damaged(home, error) from None


def facts(home: Home) -> KeyFileFacts:
    """Without the passphrase; so nothing proves that the seed is the fingerprint's. Raises IdentityProblem."""
    data = _read(home)
    try:
        named = msgspec.json.decode(data, type=_Named)
        return KeyFileFacts(Fingerprint.parse(named.fingerprint), key_file.is_sealed(data))
    except (*NOT_UNDERSTOOD, DecodeError) as error:
        raise _damaged(home, error) from None


def exists(home: Home) -> bool:
    return home.key.exists()


def _read(home: Home) -> bytes:
    try:
        with home.key.open("rb") as file:
            return file.read(key_file.MAX_KEY_FILE_BYTES + 1)
    except FileNotFoundError:
        raise IdentityProblem(f"{home.folder} has no identity", "make one with `shadowmesh id`") from None
    except OSError as error:
        raise IdentityProblem(f"{home.key} can't be read ({error.strerror})", "run as its owner") from None


def _damaged(home: Home, error: Exception) -> IdentityProblem:
    return IdentityProblem(f"{home.key} is damaged ({error})", "restore it from your backup")
