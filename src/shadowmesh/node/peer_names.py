"""What a person may write for a peer: its trusted name, PeerID, fingerprint or overlay address."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address

from shadowmesh.control.errors import ControlError, ErrorCode
from shadowmesh.identity.names import OVERLAY_NETWORK, TEXT_PREFIX, Fingerprint, PeerID, parse_name
from shadowmesh.mesh.state import TrustedPeer
from shadowmesh.wire.errors import DecodeError


def find_trusted(text: str, trusted: Sequence[TrustedPeer]) -> TrustedPeer:
    """Raises ControlError (PEER_UNKNOWN, NOT_TRUSTED)."""
    text = text.strip()
    named = next((peer for peer in trusted if peer.name and peer.name == text), None)
    if named is not None:
        return named
    peer = find_peer(text, trusted)
    entry = next((entry for entry in trusted if entry.fingerprint.peer_id == peer), None)
    if entry is None:
        raise ControlError(
            ErrorCode.NOT_TRUSTED, f"{text} is not trusted", "add it with `shadowmesh peers trust FINGERPRINT`"
        )
    return entry


def find_peer(text: str, trusted: Sequence[TrustedPeer]) -> PeerID:
    """A stranger is found by its PeerID or fingerprint only. Raises ControlError (PEER_UNKNOWN)."""
    text = text.strip()
    for entry in trusted:
        if entry.name and entry.name == text:
            return entry.fingerprint.peer_id
    address = _overlay_address(text)
    if address is not None:
        for entry in trusted:
            if entry.fingerprint.peer_id.overlay_address == address:
                return entry.fingerprint.peer_id
        raise ControlError(ErrorCode.PEER_UNKNOWN, f"no trusted peer has the address {text}", "give its PeerID instead")
    if not text.lower().startswith(TEXT_PREFIX + "1"):
        raise ControlError(
            ErrorCode.PEER_UNKNOWN, f"no trusted peer is called {text!r}", "`shadowmesh peers list` shows their names"
        )
    try:
        name = parse_name(text)
    except DecodeError as error:
        raise ControlError(ErrorCode.PEER_UNKNOWN, str(error), "copy it again from `shadowmesh id` there") from None
    return name.peer_id if isinstance(name, Fingerprint) else name


def check_name(name: str) -> None:
    """A name must not be taken for something else, nor need quoting in a shell. Raises ControlError (USAGE)."""
    legal = name.isascii() and all(character.isalnum() or character in "-_." for character in name)
    if not legal or name.startswith("-") or name.lower().startswith(TEXT_PREFIX + "1"):
        raise ControlError(
            ErrorCode.USAGE, f"{name!r} can't be a peer's name", "use letters, digits, hyphen, underscore and dot"
        )


def _overlay_address(text: str) -> IPv6Address | None:
    try:
        address = IPv6Address(text)
    except ValueError:
        return None
    return address if address in OVERLAY_NETWORK else None
