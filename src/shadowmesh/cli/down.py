"""`shadowmesh down`"""

from __future__ import annotations

from cyclopts import App

from shadowmesh.cli.options import HomeFolder, Json, home_of, print_document

STOP_TIMEOUT_S = 10.0
"""A node stops in under 2 s; a loaded Pi may take longer."""

app = App(name="down")


@app.default
def down(*, home: HomeFolder = None, json: Json = False) -> None:
    """Stop the node, and wait until it has stopped.

    For example:

        shadowmesh down
    """
    from shadowmesh.control import client, routes
    from shadowmesh.node.lock import wait_until_released

    folder = home_of(home)
    document = client.call(folder, routes.STOP, None)
    wait_until_released(folder, STOP_TIMEOUT_S)
    if json:
        print_document(document)
    else:
        print(f"shadowmesh is down (pid {document.pid} has stopped)")
