"""`shadowmesh peers`: the trust list. It can be changed while the node is down, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import App, Parameter

from shadowmesh.cli import render
from shadowmesh.cli.options import HomeFolder, Json, TrustedPeer, home_of, print_document
from shadowmesh.control import client, routes
from shadowmesh.control.errors import DaemonNotRunning
from shadowmesh.control.home import Home
from shadowmesh.control.schema import Document, PeerRequest, TrustRequest

if TYPE_CHECKING:
    from shadowmesh.node.stopped_node import StoppedNode

app = App(name="peers")

D = TypeVar("D", bound=Document)


@app.command
def trust(
    fingerprint: Annotated[str, Parameter(help="As `shadowmesh id` shows it on the peer.")],
    /,
    *,
    name: Annotated[str, Parameter(help="What to call it.")] = "",
    home: HomeFolder = None,
    json: Json = False,
) -> None:
    """Let a peer reach this node, and this node reach it. Its owner must trust this node as well.

    For example:

        shadowmesh peers trust sm1... --name alice
    """
    request = TrustRequest(fingerprint=fingerprint, name=name)
    document = _either(
        home_of(home), lambda folder: client.call(folder, routes.TRUST, request), lambda node: node.trust(request)
    )
    if json:
        print_document(document)
    else:
        print(f"trusted: {render.trusted(document.peer)}")


@app.command
def untrust(peer: TrustedPeer, /, *, home: HomeFolder = None, json: Json = False) -> None:
    """Stop trusting a peer; a session with it ends at once.

    For example:

        shadowmesh peers untrust alice
    """
    request = PeerRequest(peer=peer)
    document = _either(
        home_of(home), lambda folder: client.call(folder, routes.UNTRUST, request), lambda node: node.untrust(request)
    )
    if json:
        print_document(document)
    else:
        print(f"no longer trusted: {render.trusted(document.peer)}")


@app.command(name="list")
def list_(*, home: HomeFolder = None, json: Json = False) -> None:
    """List the trusted peers. How they are reached is in `shadowmesh status`.

    For example:

        shadowmesh peers list --json | jq -r '.trusted[].fingerprint'
    """
    document = _either(
        home_of(home), lambda folder: client.call(folder, routes.TRUSTED, None), lambda node: node.trusted()
    )
    if json:
        print_document(document)
    else:
        print(render.trust_list(document))


def _either(home: Home, running: Callable[[Home], D], stopped: Callable[[StoppedNode], D]) -> D:
    """By the daemon, or on the files under the daemon's own lock."""
    try:
        return running(home)
    except DaemonNotRunning:
        from shadowmesh.node.stopped_node import StoppedNode

        with StoppedNode.open(home) as node:
            return stopped(node)
