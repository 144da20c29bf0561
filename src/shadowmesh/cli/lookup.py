"""`shadowmesh lookup`"""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter

from shadowmesh.cli import render
from shadowmesh.cli.options import HomeFolder, Json, home_of, print_document
from shadowmesh.control import client, routes
from shadowmesh.control.errors import ControlError, ErrorCode
from shadowmesh.control.schema import PeerRequest

LOOK_UP_TIMEOUT_S = 25.0
"""The daemon gives up after 20 s, and says why."""

app = App(name="lookup")


@app.default
def lookup(
    peer: Annotated[str, Parameter(help="PeerID, fingerprint, or a trusted peer's name or overlay address.")],
    /,
    *,
    home: HomeFolder = None,
    json: Json = False,
) -> None:
    """Find a peer's signed record, in the cache or at the backbone. The peer need not be trusted.

    For example:

        shadowmesh lookup alice

        shadowmesh lookup sm1... --json | jq .record
    """
    document = client.call(home_of(home), routes.LOOKUP, PeerRequest(peer=peer), timeout_s=LOOK_UP_TIMEOUT_S)
    if json:
        print_document(document)
    elif document.found:
        print(render.look_up(document))
    else:
        reason = document.failure or "nobody knows this peer"
        raise ControlError(ErrorCode.PEER_UNKNOWN, f"{peer}: {reason}", "is its node up, with the same backbone?")
    if not document.found:
        sys.exit(ErrorCode.PEER_UNKNOWN.exit_code)
