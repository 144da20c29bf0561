import sys
import time
from pathlib import Path

import pytest

from shadowmesh.lab.commands import describe_exit, last_line, run
from shadowmesh.lab.errors import CommandError, Unavailable


def test_a_command_gives_back_what_it_printed() -> None:
    assert run(["cat"], stdin="two\nlines\n").stdout == "two\nlines\n"


def test_the_error_of_a_failed_command_ends_with_the_last_line_of_its_error_output() -> None:
    with pytest.raises(CommandError, match=r"^sh -c .*: the cause$") as caught:
        run(["sh", "-c", "echo first >&2; echo the cause >&2; exit 3"])
    assert caught.value.returncode == 3
    assert caught.value.stderr == "first\nthe cause\n"


def test_a_failure_is_a_result_where_the_caller_does_not_check() -> None:
    assert run(["sh", "-c", "exit 3"], check=False).returncode == 3


def test_a_command_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "child"
    script = f"(sleep 1; touch {mark}) & sleep 30"
    started_at = time.monotonic()
    with pytest.raises(CommandError, match=r"took longer than 0\.2 s"):
        run(["sh", "-c", script], timeout_s=0.2)
    assert time.monotonic() - started_at < 1  # the child held the pipe: it must have ended as well
    assert not mark.exists()


def test_a_program_that_is_not_installed_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Unavailable, match=r"^ip is not installed: apt-get install iproute2$"):
        run(["ip", "link"])


def test_the_environment_is_replaced() -> None:
    command = [sys.executable, "-c", "import os; print(sorted(os.environ))"]
    assert "'ONLY'" in run(command, env={"ONLY": "1"}).stdout
    assert "'PATH'" not in run(command, env={"ONLY": "1"}).stdout


def test_empty_lines_are_not_the_last_line() -> None:
    assert last_line("one\ntwo\n\n \n") == "two"
    assert last_line("") == ""


def test_an_exit_status_is_told_in_words() -> None:
    assert describe_exit(2) == "exit status 2"
    assert describe_exit(-15) == "ended by SIGTERM"
