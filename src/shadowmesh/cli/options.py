"""Options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
from cyclopts import Parameter

from shadowmesh.control.errors import ControlError, ErrorCode
from shadowmesh.control.home import Home, default_home
from shadowmesh.control.schema import Document

MAX_PASSPHRASE_BYTES = 1024

HomeFolder: TypeAlias = Annotated[
    Path | None,
    Parameter(
        name="--home",
        env_var="SHADOWMESH_HOME",
        help="The node's folder: key, state, control socket, log. Default: /var/lib/shadowmesh for root, "
        "else the user's state folder.",
    ),
]
Json: TypeAlias = Annotated[
    bool, Parameter(name="--json", negative="", help="Print one JSON document (docs/spec/control.md).")
]
TrustedPeer: TypeAlias = Annotated[str, Parameter(help="Its name, PeerID, fingerprint or overlay address.")]
PassphraseFile: TypeAlias = Annotated[
    Path | None,
    Parameter(
        name="--passphrase-file",
        env_var="SHADOWMESH_PASSPHRASE_FILE",
        help="File whose first line opens, or seals, the key file.",
    ),
]


def home_of(folder: Path | None) -> Home:
    return default_home() if folder is None else Home(folder.expanduser().absolute())


def read_passphrase(file: Path | None) -> str | None:
    """The first line. Raises ControlError."""
    if file is None:
        return None
    try:
        with file.open(encoding="utf-8") as lines:
            passphrase = lines.readline(MAX_PASSPHRASE_BYTES).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ControlError(ErrorCode.IDENTITY, f"{file} can't be read ({reason})", "check --passphrase-file") from None
    if not passphrase:
        raise ControlError(ErrorCode.IDENTITY, f"{file} has an empty first line", "write the passphrase there")
    return passphrase


def print_document(document: Document) -> None:
    print(msgspec.json.encode(document).decode(), flush=True)
