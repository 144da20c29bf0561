"""`shadowmesh status`"""

from __future__ import annotations

import time

from cyclopts import App

from shadowmesh.cli import render
from shadowmesh.cli.options import HomeFolder, Json, home_of, print_document
from shadowmesh.control import client, routes

app = App(name="status")


@app.default
def status(*, home: HomeFolder = None, json: Json = False) -> None:
    """Show the node, its link to the backbone and how each peer is reached, as just probed.

    For example:

        shadowmesh status

        shadowmesh status --json | jq '.peers[] | {name, state, path}'
    """
    document = client.call(home_of(home), routes.STATUS, None)
    if json:
        print_document(document)
    else:
        print(render.status(document, now=time.time()))
