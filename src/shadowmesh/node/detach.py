"""Runs the daemon in the background; whoever started it waits until it is ready, or says why it is not."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from shadowmesh.control import schema
from shadowmesh.control.errors import ControlError, ErrorCode, ShadowMeshError
from shadowmesh.files.durable import PRIVATE_FILE_MODE

READY_TIMEOUT_S = 30.0
"""A Pi takes 3 s for its imports and, with 1,000 records, a second for the rest."""
_MAX_REPORT_BYTES = 16 * 1024

Ready = Callable[[schema.UpDocument], None]


def start(run: Callable[[Ready], None], log: Path) -> schema.UpDocument:
    """Calls `run` in a process without terminal; what that writes to stderr goes to `log`. Raises ShadowMeshError.

    To be called before threads are started and the event loop is made.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _become_daemon(run, log, writing)
    os.close(writing)
    try:
        report = _read_report(reading)
    finally:
        os.close(reading)
        os.waitpid(child, 0)
    try:
        outcome = msgspec.json.decode(report, type=dict[str, msgspec.Raw])
        if "error" in outcome:
            error = msgspec.json.decode(outcome["error"], type=schema.Error)
            raise ControlError(ErrorCode.of_slug(error.code), error.problem, error.remedy)
        return msgspec.json.decode(report, type=schema.UpDocument)
    except schema.NOT_UNDERSTOOD:
        raise ControlError(
            ErrorCode.FAILED, f"the daemon ended, or was not ready within {READY_TIMEOUT_S:g} s", f"see {log}"
        ) from None


def _become_daemon(run: Callable[[Ready], None], log: Path, writing: int) -> None:
    """Never returns. Two forks: the second child can't get a terminal again (setsid(2))."""
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    code = 1
    reporter = _Reporter(writing)
    try:
        os.chdir("/")
        os.umask(0o077)
        _redirect(log)
        run(reporter.report)
        code = 0
    except ShadowMeshError as error:
        described = schema.Error(code=error.code.slug, problem=error.problem, remedy=error.remedy)
        reporter.report(schema.ErrorDocument(error=described))
        code = error.code.exit_code
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


class _Reporter:
    """The first report is the only one: afterwards the number of the pipe's descriptor may be another file's."""

    def __init__(self, writing: int) -> None:
        self._writing = writing

    def report(self, document: schema.UpDocument | schema.ErrorDocument) -> None:
        if self._writing < 0:
            return
        writing, self._writing = self._writing, -1
        with contextlib.suppress(BrokenPipeError):  # who started us does not wait any more
            os.write(writing, msgspec.json.encode(document))
        os.close(writing)


def _redirect(log: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    errors = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, PRIVATE_FILE_MODE)
    for source, target in ((nothing, 0), (nothing, 1), (errors, 2)):
        os.dup2(source, target)


def _read_report(reading: int) -> bytes:
    report, deadline = b"", time.monotonic() + READY_TIMEOUT_S
    while len(report) < _MAX_REPORT_BYTES:
        readable, _, _ = select.select([reading], [], [], max(0.0, deadline - time.monotonic()))
        if not readable:
            break
        part = os.read(reading, _MAX_REPORT_BYTES)
        if not part:
            break
        report += part
    return report
