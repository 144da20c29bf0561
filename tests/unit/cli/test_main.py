import json
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tests.unit.cli.program import run, run_apart

from shadowmesh.cli.main import INTERRUPTED, main
from shadowmesh.control.schema import ErrorDocument

COMMANDS = ["id", "up", "down", "status", "peers", "lookup", "ping", "logs", "backbone", "demo"]


def test_help_lists_every_command_and_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run(capsys, "--help")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    for command in COMMANDS:
        assert any(line.startswith(f"│ {command} ") and line.strip("│ ") != command for line in lines)


@pytest.mark.parametrize("command", ["id", "up", "down", "status", "lookup", "ping", "logs"])
def test_the_help_of_a_command_has_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert f"shadowmesh {command}" in run(capsys, command, "--help").out.partition("For example:")[2]


@pytest.mark.parametrize("command", ["trust", "untrust", "list"])
def test_the_help_of_a_peers_command_has_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert f"shadowmesh peers {command}" in run(capsys, "peers", command, "--help").out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version").out.strip()


@pytest.mark.parametrize(
    "words",
    [
        ["frobnicate"],
        ["status", "--frobnicate"],
        ["ping"],
        ["ping", "a", "-c", "0"],
        ["ping", "a", "-c", "many"],
        ["up", "--mode", "both"],
        ["logs", "-n", "-1"],
        ["status", "extra"],
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    outcome = run(capsys, *words)
    assert outcome.code == 2
    assert "--help" in outcome.error_line
    assert outcome.out == ""


@pytest.mark.parametrize(
    "words", [["status"], ["down"], ["lookup", "bob"], ["ping", "bob"], ["status", "--home=/nonexistent"]]
)
def test_without_a_daemon_the_exit_code_is_3(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str]
) -> None:
    monkeypatch.setenv("SHADOWMESH_HOME", str(tmp_path))
    outcome = run(capsys, *words)
    assert outcome.code == 3
    assert "shadowmesh up" in outcome.error_line


@pytest.mark.parametrize("words", [["status", "--json"], ["frobnicate", "--json"], ["--json", "status"]])
def test_with_json_an_error_is_a_document_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str]
) -> None:
    monkeypatch.setenv("SHADOWMESH_HOME", str(tmp_path))
    outcome = run(capsys, *words)
    document = msgspec.json.decode(outcome.out, type=ErrorDocument)
    assert document.error.problem in outcome.error_line


def test_global_options_may_stand_before_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words in (
        ["--home", str(tmp_path / "x")],
        [f"--home={tmp_path / 'x'}"],
        ["--json", "--home", str(tmp_path / "x")],
    ):
        assert str(tmp_path / "x") in run(capsys, *words, "status").error_line


def test_an_internal_error_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHADOWMESH_TRACEBACK", raising=False)
    monkeypatch.setattr("shadowmesh.cli.main.create_app", _broken)
    outcome = run(capsys, "status")
    assert outcome.code == 1
    assert "internal error: ZeroDivisionError" in outcome.error_line


def test_a_developer_may_see_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHADOWMESH_TRACEBACK", "1")
    monkeypatch.setattr("shadowmesh.cli.main.create_app", _broken)
    with pytest.raises(ZeroDivisionError):
        main(["status"])


def test_ctrl_c_is_silent_and_exits_with_130(running_home: Path) -> None:
    command = [sys.executable, "-m", "shadowmesh", "logs", "-f", "--home", str(running_home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as following:
        assert following.stdout is not None
        assert following.stdout.readline()
        following.send_signal(signal.SIGINT)
        _, errors = following.communicate(timeout=20)
    assert following.returncode == INTERRUPTED
    assert errors == b""


def test_a_reader_that_goes_away_is_no_error(running_home: Path) -> None:
    command = f"{sys.executable} -m shadowmesh logs -n 100000 --json --home {running_home} | true"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False, timeout=30)
    assert done.stderr == b""


def test_the_program_starts_without_what_it_does_not_need() -> None:
    code = (
        "import sys; sys.argv = ['shadowmesh', 'status', '--home', '/nonexistent']\n"
        "import contextlib, json\n"
        "from shadowmesh.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    heavy = {"rich", "asyncio", "aiohttp", "starlette", "uvicorn", "cryptography", "fastapi", "shadowmesh._engine"}
    assert not loaded & heavy
    assert not [name for name in loaded if name.startswith(("shadowmesh.node", "shadowmesh.mesh"))]


def test_the_daemon_does_not_load_what_servers_and_terminals_need() -> None:
    code = "import sys, json, shadowmesh.node.run; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(json.loads(done.stdout)) & {"fastapi", "pydantic", "rich", "sqlalchemy", "cyclopts", "uvloop"}


def test_the_module_is_the_program() -> None:
    assert run_apart("--version").code == 0


def _broken(*, overview: bool) -> None:
    raise ZeroDivisionError("a bug\nof two lines")
