"""The `shadowmesh` program: the table of commands, and the one place that turns failures into lines and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import msgspec
from cyclopts import App, CycloptsError

from shadowmesh.control.errors import ControlError, ErrorCode, ShadowMeshError
from shadowmesh.control.schema import Error, ErrorDocument
from shadowmesh.control.version import program_version

INTERRUPTED = 130
"""128 and SIGINT, as shells count."""
TRACEBACK_VARIABLE = "SHADOWMESH_TRACEBACK"

_HELP = """A post-quantum, peer-to-peer private network.

    shadowmesh id                                  make this node's identity
    shadowmesh up --backbone https://HOST#sm1...   join
    shadowmesh peers trust sm1... --name alice     let a peer in
    shadowmesh ping alice
"""
_COMMANDS = {
    "id": ("identity", "Make this node's identity, or show it."),
    "up": ("up", "Start the node."),
    "down": ("down", "Stop the node."),
    "status": ("status", "Show the node, its link to the backbone and how each peer is reached."),
    "peers": ("peers", "Trust peers, stop trusting them, list them."),
    "lookup": ("lookup", "Find a peer's signed record."),
    "ping": ("ping", "Measure the way to a trusted peer."),
    "netcheck": ("netcheck", "Find out what this network does with our packets."),
    "why": ("why", "Tell why a peer is reached as it is, or is not."),
    "logs": ("logs", "Show the node's log."),
    "backbone": ("backbone", "Run a backbone node."),
    "demo": ("demo", "See it all work on this machine."),
}
"""With the module of `shadowmesh.cli` that has its app, in the order of `--help`."""
_HELP_FLAGS = ("--help", "-h")
_GLOBAL_VALUES, _GLOBAL_FLAGS = ("--home",), ("--json",)


def create_app(*, overview: bool) -> App:
    """`overview`: with the summaries for `shadowmesh --help`. They would replace the commands' own, longer texts."""
    app = App(
        name="shadowmesh",
        help=_HELP,
        help_format="plaintext",
        version=program_version,
        version_flags=["--version"],
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for position, (name, (module, summary)) in enumerate(_COMMANDS.items()):
        app.command(f"shadowmesh.cli.{module}:app", name=name, help=summary if overview else None, sort_key=position)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Exits with the codes of docs/spec/control.md, section 4."""
    tokens = _global_options_last(list(sys.argv[1:] if arguments is None else arguments))
    try:
        code = _run(tokens)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def _run(tokens: list[str]) -> int:
    try:
        create_app(overview=not tokens or tokens[0] in _HELP_FLAGS)(tokens)
    except ShadowMeshError as error:
        return _fail(error, tokens)
    except CycloptsError as error:
        return _fail(ControlError(ErrorCode.USAGE, _one_line(str(error)), _help_hint(tokens)), tokens)
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        problem = f"internal error: {type(error).__name__}: {_one_line(str(error))}"
        return _fail(ControlError(ErrorCode.FAILED, problem, f"set {TRACEBACK_VARIABLE}=1 and report it"), tokens)
    return 0


def _fail(error: ShadowMeshError, tokens: list[str]) -> int:
    if "--json" in tokens:
        described = Error(code=error.code.slug, problem=error.problem, remedy=error.remedy)
        print(msgspec.json.encode(ErrorDocument(error=described)).decode())
    print(f"shadowmesh: {error}", file=sys.stderr)
    return error.code.exit_code


def _global_options_last(tokens: list[str]) -> list[str]:
    """`shadowmesh --home DIR status` is taken as `shadowmesh status --home DIR`."""
    leading: list[str] = []
    while tokens:
        name = tokens[0].partition("=")[0]
        count = 2 if tokens[0] in _GLOBAL_VALUES else 1 if tokens[0] in _GLOBAL_FLAGS or name in _GLOBAL_VALUES else 0
        if count == 0:
            break
        leading += tokens[:count]
        tokens = tokens[count:]
    return tokens + leading


def _help_hint(tokens: list[str]) -> str:
    command = tokens[0] if tokens and tokens[0] in _COMMANDS else ""
    return f"see `shadowmesh {command} --help`" if command else "see `shadowmesh --help`"


def _one_line(text: str) -> str:
    return " ".join(text.split()).removesuffix(".")
