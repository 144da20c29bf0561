"""One rule for the whole suite: where everything must run, nothing may be skipped.

A privileged test is skipped where it cannot run, with the reason. With CI=true or SHADOWMESH_REQUIRE_ALL=1 it fails
there instead, and any skipped test makes the run fail: a suite that is green because it skipped has proved nothing.
"""

import os
import signal
from functools import cache

import pytest

from shadowmesh.lab.privileges import missing_privilege

_privilege = cache(missing_privilege)


def pytest_configure(config: pytest.Config) -> None:
    # A shell ignores it for what it starts in the background, and so would every program that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if _everything_is_required():
        config.pluginmanager.register(_SkipsFail())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("privileged") is None:
        return
    reason = _privilege()
    if reason is None:
        return
    if _everything_is_required():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


class _SkipsFail:
    """Makes the run fail if a test, or a whole module, was skipped. An expected failure is no skip."""

    def __init__(self) -> None:
        self._skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skipped.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._skipped.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._skipped and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._skipped:
            terminalreporter.write_line(f"FAILED: {len(self._skipped)} skipped where all must run: {self._skipped[0]}")


def _everything_is_required() -> bool:
    return os.environ.get("CI") == "true" or os.environ.get("SHADOWMESH_REQUIRE_ALL") == "1"
