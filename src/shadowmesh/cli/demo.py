"""`shadowmesh demo`: the whole story on this machine, in network namespaces of its own."""

from __future__ import annotations

from typing import Annotated

import msgspec
from cyclopts import App, Parameter, validators

from shadowmesh.control.errors import ControlError, ErrorCode
from shadowmesh.control.schema import SCHEMA
from shadowmesh.lab.errors import LabError
from shadowmesh.lab.privileges import ensure_privileges, require_tun

app = App(name="demo")


@app.default
def demo(
    *,
    mib: Annotated[int, Parameter(validator=validators.Number(gte=16, lte=16384))] = 1024,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Show two light nodes and a backbone at work, and prove what is claimed.

    Makes three hosts in network namespaces, logs two nodes in, moves a file between them, kills the backbone in the
    middle, restarts a node, and removes everything again, also after Ctrl-C. Needs root, or a kernel that
    allows user namespaces.

    Examples:
        shadowmesh demo
        shadowmesh demo --mib 100 --json | jq .gbit_per_s

    Parameters
    ----------
    mib
        Size of the file in MiB.
    json
        Print one JSON document instead.
    """
    try:
        ensure_privileges()
        require_tun()
        _run(mib, json)
    except LabError as error:
        raise ControlError(ErrorCode.FAILED, str(error)) from error


def _run(mib: int, json: bool) -> None:
    from shadowmesh.demo import scenario
    from shadowmesh.demo.screen import Screen

    screen = Screen(quiet=json)
    screen.heading("ShadowMesh: alice and bob")
    try:
        figures = scenario.run(screen, file_bytes=mib << 20)
    except scenario.DemoFailed as error:
        raise ControlError(ErrorCode.FAILED, str(error)) from error
    if json:
        document = {"schema": SCHEMA, **msgspec.to_builtins(figures)}
        print(msgspec.json.encode(document).decode())
    screen.table("Measured", scenario.rows(figures))
