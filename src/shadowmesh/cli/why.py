"""`shadowmesh why`"""

from __future__ import annotations

from cyclopts import App

from shadowmesh.cli import render_diagnosis
from shadowmesh.cli.options import HomeFolder, Json, TrustedPeer, home_of, print_document
from shadowmesh.control import client, routes
from shadowmesh.control.schema import PeerRequest

app = App(name="why")


@app.default
def why(peer: TrustedPeer, /, *, home: HomeFolder = None, json: Json = False) -> None:
    """Tell why a peer is reached as it is, or is not: what was tried, what answered, and what to change.

    It tells of the last attempt, or of the one that goes on; `shadowmesh ping PEER` makes a new one.

    For example:

        shadowmesh why alice

        shadowmesh why alice --json | jq '.summary, .advice'
    """
    document = client.call(home_of(home), routes.WHY, PeerRequest(peer=peer))
    if json:
        print_document(document)
    else:
        print(render_diagnosis.why(document))
