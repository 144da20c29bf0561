import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.program import run

LINE = '{{"at": "2026-11-24T02:12:31+00:00", "level": "INFO", "logger": "x", "message": "line {}"}}\n'


def test_the_last_lines_are_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("".join(LINE.format(number) for number in range(5)))
    outcome = run(capsys, "logs", "-n", "2", "--home", str(tmp_path))
    assert outcome.out == "2026-11-24 02:12:31 INFO    line 3\n2026-11-24 02:12:31 INFO    line 4\n"


def test_the_document_keeps_every_line_as_an_object(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(LINE.format(1) + "Traceback\n[1]\n")
    document = run(capsys, "logs", "--json", "--home", str(tmp_path)).document
    assert document["schema"] == "shadowmesh/1"
    assert [line["message"] for line in document["lines"]] == ["line 1", "Traceback", "[1]"]


def test_a_node_that_was_never_started_has_no_log(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    outcome = run(capsys, "logs", "--home", str(tmp_path))
    assert outcome.code == 1
    assert "never started" in outcome.error_line


def test_following_goes_on_over_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(LINE.format(1))
    command = [sys.executable, "-m", "shadowmesh", "logs", "-f", "--home", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        assert following.stdout.readline().endswith("line 1\n")
        with log.open("a") as file:
            file.write(LINE.format(2))
        assert following.stdout.readline().endswith("line 2\n")
        log.rename(tmp_path / "log.jsonl.1")
        log.write_text(LINE.format(3))
        assert following.stdout.readline().endswith("line 3\n")
        following.terminate()
        following.communicate(timeout=20)
