"""`shadowmesh ping`"""

from __future__ import annotations

import sys
import time
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from shadowmesh.cli import render
from shadowmesh.cli.options import HomeFolder, Json, TrustedPeer, home_of, print_document
from shadowmesh.control import client, routes
from shadowmesh.control.errors import ControlError, ErrorCode
from shadowmesh.control.home import Home
from shadowmesh.control.schema import PingDocument, PingRequest, PingsDocument

CONNECT_TIMEOUT_S = 32.0
"""A handshake is given up after 30 s."""
MAX_COUNT = 100_000

app = App(name="ping")


@app.default
def ping(
    peer: TrustedPeer,
    /,
    *,
    count: Annotated[
        int, Parameter(name=["--count", "-c"], validator=Number(gte=1, lte=MAX_COUNT), help="How many.")
    ] = 4,
    interval: Annotated[
        float, Parameter(name=["--interval", "-i"], validator=Number(gte=0.05, lte=3600), help="Seconds in between.")
    ] = 1.0,
    home: HomeFolder = None,
    json: Json = False,
) -> None:
    """Measure the way to a trusted peer, connecting first if need be.

    For example:

        shadowmesh ping alice

        shadowmesh ping alice -c 100 -i 0.2 --json | jq .received
    """
    folder, request = home_of(home), PingRequest(peer=peer, timeout_s=CONNECT_TIMEOUT_S)
    pings: list[PingDocument] = []
    try:
        for number in range(count):
            if number:
                time.sleep(interval)
            pings.append(_ping(folder, request, first=number == 0))
            if not json:
                print(render.ping(peer, pings[-1]), flush=True)
    except KeyboardInterrupt:
        _print_summary(peer, pings, json=json)
        raise
    _print_summary(peer, pings, json=json)
    if all(ping.rtt_s is None for ping in pings):
        sys.exit(ErrorCode.UNREACHABLE.exit_code)


def _ping(home: Home, request: PingRequest, *, first: bool) -> PingDocument:
    """A peer that is lost in between may come back: only the first failure to connect ends it all."""
    try:
        return client.call(home, routes.PING, request, timeout_s=CONNECT_TIMEOUT_S + 3)
    except ControlError as error:
        if first or error.code is not ErrorCode.UNREACHABLE:
            raise
        return PingDocument(peer_id="", path="", rtt_s=None, connected_in_s=None)


def _print_summary(peer: str, pings: list[PingDocument], *, json: bool) -> None:
    received = sum(ping.rtt_s is not None for ping in pings)
    document = PingsDocument(peer=peer, pings=pings, sent=len(pings), received=received)
    if json:
        print_document(document)
    elif pings:
        print(render.pings(document))
