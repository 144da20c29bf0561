"""What an operator does with the directory of a data folder. The running server takes up what is installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shadowmesh.backbone.data_folder import DataFolder
from shadowmesh.backbone.directory import description
from shadowmesh.backbone.directory.versions import next_version
from shadowmesh.backbone.errors import CannotStart
from shadowmesh.files import durable
from shadowmesh.records.directory import MAX_DIRECTORY_AGE_S, BackboneNode, Directory, DirectoryRefused, SignedDirectory
from shadowmesh.records.region import Region
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError


def load(path: Path) -> SignedDirectory:
    """Raises CannotStart."""
    try:
        return SignedDirectory.decode(path.read_bytes())
    except OSError as error:
        raise CannotStart(f"{path}: {error.strerror}") from None
    except DecodeError as error:
        raise CannotStart(f"{path}: {error}") from None


def own_description(folder: DataFolder, *, url: str | None, region: str | None, stun: Sequence[str]) -> bytes:
    """The node's description as its last run left it, with what is given here in its place. Raises CannotStart."""
    identity = folder.load_identity()
    try:
        last = description.read(folder.node) if folder.node.exists() else None
        if last is None and url is None:
            raise CannotStart(f"{folder.path}: this node has not run yet, so --url is needed")
        node = BackboneNode(
            identity.public,
            description.parse_region(region) if region else (last.region if last else Region.UNKNOWN),
            description.parse_url(url) if url else last.url if last else "",
            tuple(Endpoint.parse(text) for text in stun) if stun else (last.stun if last else ()),
        )
    except (OSError, ValueError) as error:
        raise CannotStart(str(error)) from None
    return description.encode(node, identity)


def make(folder: DataFolder, nodes: Sequence[Path], *, now: float) -> SignedDirectory:
    """A new version with these nodes, signed by the folder's own key. Raises CannotStart."""
    identity = folder.load_identity()
    last = load(folder.directory).directory.version if folder.directory.exists() else 0
    issued_at = int(now)
    version = next_version(last, now=now)
    try:
        listed = tuple(description.read(path) for path in nodes)
        return Directory(version, issued_at, issued_at + MAX_DIRECTORY_AGE_S, listed).sign(identity)
    except OSError as error:
        raise CannotStart(f"{error.filename}: {error.strerror}") from None
    except DecodeError as error:
        raise CannotStart(str(error)) from None


def sign(folder: DataFolder, path: Path) -> SignedDirectory:
    """Adds the folder's own signature to the file. Raises CannotStart."""
    signed = load(path).signed_also_by(folder.load_identity())
    write(path, signed)
    return signed


def install(folder: DataFolder, path: Path, *, now: float) -> SignedDirectory:
    """Raises CannotStart when it is not signed by a majority of the directory before, or does not list this node."""
    signed = load(path)
    if not folder.directory.exists() or len(load(folder.directory).directory.nodes) == 1:
        # The majority of one is whoever gives this command; its clients want its signature.
        signed = signed.signed_also_by(folder.load_identity())
    return install_signed(folder, signed, now=now, name=str(path))


def install_signed(folder: DataFolder, signed: SignedDirectory, *, now: float, name: str) -> SignedDirectory:
    """As `install`, and nothing is added. `name` begins the error's text."""
    identity = folder.load_identity()
    before = load(folder.directory).directory if folder.directory.exists() else None
    trusted = [node.fingerprint for node in before.nodes] if before else [identity.fingerprint]
    if all(node.fingerprint != identity.fingerprint for node in signed.directory.nodes):
        raise CannotStart(f"{name}: this node ({identity.fingerprint}) is not listed")
    try:
        signed.accept(trusted, now=now, known_version=before.version if before else 0)
    except DirectoryRefused as refused:
        raise CannotStart(f"{name}: {refused}") from None
    write(folder.directory, signed)
    return signed


def summary(signed: SignedDirectory) -> dict[str, object]:
    """For people and for `--json`."""
    directory = signed.directory
    return {
        "version": directory.version,
        "issued_at": directory.issued_at,
        "expires_at": directory.expires_at,
        "nodes": [
            {
                "fingerprint": str(node.fingerprint),
                "region": Region.of(node.region).label,
                "url": node.url,
                "stun": [str(endpoint) for endpoint in node.stun],
            }
            for node in directory.nodes
        ],
    }


def write(path: Path, signed: SignedDirectory) -> None:
    """Raises CannotStart."""
    try:
        durable.replace(path, signed.encoded)
    except OSError as error:
        raise CannotStart(f"{path}: {error.strerror}") from None
