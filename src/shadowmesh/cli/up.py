"""`shadowmesh up`"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from shadowmesh.cli.options import HomeFolder, Json, PassphraseFile, home_of, print_document, read_passphrase

if TYPE_CHECKING:
    from shadowmesh.control.home import Home
    from shadowmesh.identity.keys import Identity
    from shadowmesh.node.detach import Ready
    from shadowmesh.node.settings import Settings

app = App(name="up")


@app.default
def up(
    *,
    backbone: Annotated[
        tuple[str, ...],
        Parameter(
            help="URL#FINGERPRINT of a backbone node; kept in config.toml, so that it is needed once.", negative=""
        ),
    ] = (),
    mode: Annotated[
        Literal["private", "public"] | None, Parameter(help="public: relay ciphertext for strangers too.")
    ] = None,
    region: Annotated[str | None, Parameter(help="Where this node is, such as europe or north_america.")] = None,
    port: Annotated[int | None, Parameter(help="UDP port; 0: any. Default: 41641.")] = None,
    tun: Annotated[str | None, Parameter(help="Name of the network device, or none. Default: shadowmesh%d.")] = None,
    detach: Annotated[bool, Parameter(negative="", help="Return when the node is ready.")] = False,
    passphrase_file: PassphraseFile = None,
    home: HomeFolder = None,
    json: Json = False,
) -> None:
    """Start the node; it runs until Ctrl-C, SIGTERM or `shadowmesh down`.

    Makes an identity if there is none. A network device needs root, or CAP_NET_ADMIN.

    For example:

        sudo shadowmesh up --backbone https://eu.example.org#sm1...

        sudo shadowmesh up --detach

        shadowmesh up --tun none --port 0 --home ~/node
    """
    from shadowmesh.node import detach as background
    from shadowmesh.node import settings as settings_file
    from shadowmesh.node.errors import PrivilegeMissing
    from shadowmesh.node.privileges import missing_tun_privilege

    folder = home_of(home)
    settings = settings_file.override(settings_file.load(folder), mode=mode, region=region, port=port, tun=tun)
    missing = None if settings.tun_device is None else missing_tun_privilege()
    if missing is not None:
        raise PrivilegeMissing(missing)
    if backbone:
        pinned = settings_file.add_backbones(folder, backbone)
        settings = settings_file.override(pinned, mode=mode, region=region, port=port, tun=tun)
    identity = _identity(folder, read_passphrase(passphrase_file))

    def run(ready: Ready) -> None:
        _run(folder, settings, identity, terminal=not detach, ready=ready)

    if not detach:
        run(print_document if json else lambda _: None)
        return
    document = background.start(run, folder.log)
    if json:
        print_document(document)
    else:
        print(f"shadowmesh is up (pid {document.pid}): {document.identity.address}")


def _identity(home: Home, passphrase: str | None) -> Identity:
    from getpass import getpass

    from shadowmesh.node import identity_file

    if not identity_file.exists(home):
        return identity_file.create(home, passphrase)
    if passphrase is None and identity_file.facts(home).sealed and sys.stdin.isatty():
        passphrase = getpass(f"Passphrase of {home.key}: ")
    return identity_file.load(home, passphrase)


def _run(home: Home, settings: Settings, identity: Identity, *, terminal: bool, ready: Ready) -> None:
    import asyncio

    from shadowmesh.node.lock import HomeLock
    from shadowmesh.node.logs import start_logging
    from shadowmesh.node.run import run

    with HomeLock.acquire(home):
        start_logging(home, terminal=terminal)
        asyncio.run(run(home, settings, identity, ready))
