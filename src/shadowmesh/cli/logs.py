"""`shadowmesh logs`"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from io import BufferedReader
from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from cyclopts.validators import Number

from shadowmesh.cli import render
from shadowmesh.cli.options import HomeFolder, Json, home_of, print_document
from shadowmesh.control.errors import ControlError, ErrorCode
from shadowmesh.control.home import Home
from shadowmesh.control.schema import NOT_UNDERSTOOD, LogsDocument

POLL_INTERVAL_S = 0.25
MAX_LINES = 100_000

app = App(name="logs")


@app.default
def logs(
    *,
    lines: Annotated[
        int, Parameter(name=["--lines", "-n"], validator=Number(gte=0, lte=MAX_LINES), help="How many of the last.")
    ] = 50,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="", help="Go on with new ones.")] = False,
    home: HomeFolder = None,
    json: Json = False,
) -> None:
    """Show the node's log, also when it is down. With --json and --follow: a document a line.

    For example:

        shadowmesh logs -f

        shadowmesh logs -n 1000 --json | jq -c '.lines[] | select(.level == "ERROR")'
    """
    folder = home_of(home)
    with _open(folder) as file:
        last = list(deque(file, maxlen=lines))
        if json:
            print_document(_document(last))
        else:
            for line in last:
                print(render.log_line(line))
        if follow:
            for line in _new_lines(folder, file):
                if json:
                    print_document(_document([line]))
                else:
                    print(render.log_line(line), flush=True)


def _open(home: Home) -> BufferedReader:
    try:
        return home.log.open("rb")
    except FileNotFoundError:
        raise ControlError(ErrorCode.FAILED, f"{home.log} is not there", "the node was never started here") from None
    except OSError as error:
        raise ControlError(
            ErrorCode.PRIVILEGE, f"{home.log} can't be read ({error.strerror})", "run as its owner"
        ) from None


def _new_lines(home: Home, file: BufferedReader) -> Iterator[bytes]:
    """Until interrupted; goes on with the next file when the log is rotated."""
    partial = b""
    while True:
        partial += file.read()
        *complete, partial = partial.split(b"\n")
        yield from complete
        if not complete:
            if _rotated(home, file):
                file = _open(home)
            else:
                time.sleep(POLL_INTERVAL_S)


def _rotated(home: Home, file: BufferedReader) -> bool:
    try:
        return home.log.stat().st_ino != os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False


def _document(lines: list[bytes]) -> LogsDocument:
    """A line that is not JSON comes from a crash, and is kept as text."""
    return LogsDocument(lines=[msgspec.Raw(_as_json(line)) for line in lines])


def _as_json(line: bytes) -> bytes:
    try:
        msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except NOT_UNDERSTOOD:
        return msgspec.json.encode({"message": line.decode("utf-8", "replace").rstrip("\n")})
    return line.strip()
