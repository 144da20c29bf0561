"""`shadowmesh netcheck`"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cyclopts import App

from shadowmesh.cli import render_diagnosis
from shadowmesh.cli.options import HomeFolder, Json, home_of, print_document
from shadowmesh.control import client, routes

_CHECKING = "asking the backbone nodes what they see of us…"

app = App(name="netcheck")


@app.default
def netcheck(*, home: HomeFolder = None, json: Json = False) -> None:
    """Find out what this network does with our packets: the router's NAT, UDP, IPv6, distances; which peers are
    reached directly, and what to change so that more are. Takes up to three seconds, and needs a running node.

    For example:

        shadowmesh netcheck

        shadowmesh netcheck --json | jq '.nat, .regions'
    """
    with _progress(_CHECKING):
        document = client.call(home_of(home), routes.NETCHECK, None)
    if json:
        print_document(document)
    else:
        print(render_diagnosis.netcheck(document))


@contextmanager
def _progress(text: str) -> Iterator[None]:
    """One line that is gone when the answer comes, and only on a terminal."""
    is_seen = sys.stderr.isatty()
    if is_seen:
        print(text, end="", flush=True, file=sys.stderr)
    try:
        yield
    finally:
        if is_seen:
            print("\r\x1b[K", end="", flush=True, file=sys.stderr)
