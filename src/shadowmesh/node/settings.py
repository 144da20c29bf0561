"""The owner's settings: config.toml in the home folder, and what options change for one run."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from shadowmesh.control.home import Home
from shadowmesh.files import durable
from shadowmesh.identity.names import Fingerprint
from shadowmesh.mesh.state import BackbonePin, MeshConfig
from shadowmesh.node.errors import BadSettings, HomeUnusable
from shadowmesh.records.peer_record import Mode
from shadowmesh.records.region import Region
from shadowmesh.wire.errors import DecodeError

DEFAULT_PORT = 41641
DEFAULT_TUN = "shadowmesh%d"
NO_TUN = "none"
MAX_BACKBONES = 16
MAX_CONFIG_BYTES = 64 * 1024

TunName = Annotated[str, msgspec.Meta(min_length=1, max_length=15, pattern=r"^[A-Za-z0-9_.-]+(%d)?$")]
"""IFNAMSIZ less its zero byte."""


class Backbone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    fingerprint: str


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of fields are the keys of config.toml."""

    mode: Literal["private", "public"] = "private"
    region: str = Region.UNKNOWN.label
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = DEFAULT_PORT  # UDP; 0: any
    tun: TunName = DEFAULT_TUN  # "none": no device
    map_port: bool = True  # ask the router to let peers in, by PCP, NAT-PMP or UPnP
    lan: bool = True  # find trusted peers in the LAN by multicast
    ca_file: str = ""  # PEM: authorities to trust for the backbone's TLS instead of the system's
    backbone: Annotated[list[Backbone], msgspec.Meta(max_length=MAX_BACKBONES)] = []

    @property
    def tun_device(self) -> str | None:
        return None if self.tun == NO_TUN else self.tun

    def open_to_listeners(self) -> list[str]:
        """URLs of backbone nodes to which our requests travel unencrypted: look-ups can be read on the way."""
        return [backbone.url for backbone in self.backbone if _is_unencrypted(backbone.url)]

    def mesh_config(self) -> MeshConfig:
        """Raises BadSettings."""
        return MeshConfig(
            backbones=tuple(_pin(backbone) for backbone in self.backbone),
            mode=Mode[self.mode.upper()],
            region=_region(self.region),
        )


def load(home: Home) -> Settings:
    """Defaults where there is no file. Raises BadSettings, HomeUnusable."""
    text = _read(home.config)
    try:
        settings = msgspec.convert(tomllib.loads(text), Settings)
        settings.mesh_config()
    except tomllib.TOMLDecodeError as error:
        raise _wrong(home.config, str(error)) from None
    except msgspec.ValidationError as error:
        raise _wrong(home.config, str(error)) from None
    except BadSettings as error:
        raise _wrong(home.config, error.problem) from None
    return settings


def override(settings: Settings, **changes: str | int | None) -> Settings:
    """With the options that are not None in place of the file's. Raises BadSettings."""
    fields = msgspec.to_builtins(settings) | {key: value for key, value in changes.items() if value is not None}
    try:
        changed = msgspec.convert(fields, Settings)
        changed.mesh_config()
    except msgspec.ValidationError as error:
        raise BadSettings(str(error), "see `shadowmesh up --help`") from None
    return changed


def parse_backbone(text: str) -> Backbone:
    """From `URL#FINGERPRINT`. Raises BadSettings."""
    url, _, fingerprint = text.partition("#")
    backbone = Backbone(url.rstrip("/"), fingerprint)
    _pin(backbone)
    return backbone


def add_backbones(home: Home, texts: Sequence[str]) -> Settings:
    """Pins more backbone nodes, for good: appended to config.toml, the rest of which stays as its owner wrote it.

    texts: `URL#FINGERPRINT` each. Raises HomeUnusable, and BadSettings also when a URL is pinned with another
    fingerprint already: who is right only the owner knows.
    """
    settings, added = load(home), [parse_backbone(text) for text in texts]
    pinned = {backbone.url: backbone.fingerprint for backbone in settings.backbone}
    new: list[Backbone] = []
    for backbone in added:
        if pinned.setdefault(backbone.url, backbone.fingerprint) != backbone.fingerprint:
            raise BadSettings(
                f"{backbone.url} is pinned with another fingerprint",
                f"remove the one that is wrong from {home.config}",
            )
        if backbone not in settings.backbone and backbone not in new:
            new.append(backbone)
    if len(pinned) > MAX_BACKBONES:
        raise BadSettings(f"more than {MAX_BACKBONES} backbone nodes", f"remove some from {home.config}")
    if not new:
        return settings
    text = _read(home.config)
    if text and not text.endswith("\n"):
        text += "\n"
    text += "".join(f'\n[[backbone]]\nurl = "{item.url}"\nfingerprint = "{item.fingerprint}"\n' for item in new)
    try:
        durable.make_private_folder(home.folder)
        durable.replace(home.config, text.encode())
    except OSError as error:
        raise HomeUnusable(f"{home.config} can't be written ({error.strerror})", "check the disk") from None
    return load(home)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_CONFIG_BYTES).decode()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise HomeUnusable(f"{path} can't be read ({error.strerror})", "check its owner and mode") from None
    except UnicodeDecodeError:
        raise _wrong(path, "it is not UTF-8") from None


def _wrong(path: Path, what: str) -> BadSettings:
    return BadSettings(f"{path}: {what}", "correct the file, or remove it")


def _is_unencrypted(url: str) -> bool:
    parts = urlsplit(url)
    try:
        return parts.scheme == "http" and not ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.scheme == "http" and parts.hostname != "localhost"


def _pin(backbone: Backbone) -> BackbonePin:
    """Characters that would need quoting in TOML are not legal in a URL."""
    try:
        parts = urlsplit(backbone.url)
        legal = parts.port is None or parts.port > 0
    except ValueError:
        legal = False
    printable = backbone.url.isascii() and backbone.url.isprintable() and not set(backbone.url) & set(' "\\')
    if not legal or not printable or parts.scheme not in ("https", "http") or not parts.hostname:
        raise BadSettings(
            f"backbone url {backbone.url!r} is not an http(s) URL", "write https://host[:port]#FINGERPRINT"
        )
    if parts.path not in ("", "/") or parts.query or parts.username:
        raise BadSettings(
            f"backbone url {backbone.url!r} has more than a host", "write https://host[:port]#FINGERPRINT"
        )
    if not backbone.fingerprint:
        raise BadSettings(
            f"backbone {backbone.url} has no fingerprint", "write URL#FINGERPRINT: its operator publishes both"
        )
    try:
        return BackbonePin(backbone.url, Fingerprint.parse(backbone.fingerprint))
    except DecodeError as error:
        raise BadSettings(f"backbone {backbone.url}: {error}", "copy the fingerprint again from its operator") from None


def _region(label: str) -> int:
    for region in Region:
        if region.label == label.replace("-", "_").lower():
            return region.value
    labels = ", ".join(region.label for region in Region if region)
    raise BadSettings(f"region {label!r} is not known", f"choose one of {labels}")
