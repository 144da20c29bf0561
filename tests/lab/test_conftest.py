"""The suite's rule about skipped tests, tried on small suites of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parent.parent / "conftest.py"

PASSES = "def test_passes(): pass\n"
SKIPS = "import pytest\n@pytest.mark.skip(reason='why')\ndef test_skips(): pass\n"
SKIPS_MODULE = "import pytest\npytest.skip('why', allow_module_level=True)\n"
EXPECTED_FAILURE = "import pytest\n@pytest.mark.xfail\ndef test_is_known_to_fail(): assert False\n"
PRIVILEGED = "import pytest\n@pytest.mark.privileged\ndef test_needs_root(): pass\n"

NO_ROOT = {"PATH": "/nowhere"}  # no `ip` there, which is a privilege that root lacks too
REQUIRED = pytest.mark.parametrize("required", [{"CI": "true"}, {"SHADOWMESH_REQUIRE_ALL": "1"}])


def test_a_privileged_test_is_skipped_with_the_reason_where_it_cannot_run(tmp_path: Path) -> None:
    result = run_suite(tmp_path, PRIVILEGED, NO_ROOT)
    assert result.returncode == 0
    assert "ip is not installed: apt-get install iproute2" in result.stdout


@REQUIRED
def test_a_privileged_test_fails_there_where_everything_must_run(tmp_path: Path, required: dict[str, str]) -> None:
    result = run_suite(tmp_path, PRIVILEGED, NO_ROOT | required)
    assert result.returncode == 1
    assert "ip is not installed: apt-get install iproute2" in result.stdout


@pytest.mark.parametrize("suite", [SKIPS, SKIPS_MODULE])
@REQUIRED
def test_a_skip_fails_the_run_where_everything_must_run(tmp_path: Path, required: dict[str, str], suite: str) -> None:
    result = run_suite(tmp_path, suite, required)
    assert result.returncode == 1
    assert result.stdout.count("FAILED: 1 skipped where all must run: test_suite.py") == 1


def test_a_skip_is_allowed_elsewhere(tmp_path: Path) -> None:
    assert run_suite(tmp_path, SKIPS, {}).returncode == 0


@REQUIRED
def test_a_known_failure_is_no_skip(tmp_path: Path, required: dict[str, str]) -> None:
    assert run_suite(tmp_path, EXPECTED_FAILURE + PASSES, required).returncode == 0


def run_suite(directory: Path, suite: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    shutil.copy(CONFTEST, directory / "conftest.py")
    (directory / "test_suite.py").write_text(suite)
    (directory / "pytest.ini").write_text("[pytest]\nmarkers =\n    privileged: needs root\n")
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "SHADOWMESH_REQUIRE_ALL")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "--strict-markers"],
        cwd=directory,
        env=environment | env,
        capture_output=True,
        text=True,
        timeout=60,
    )
