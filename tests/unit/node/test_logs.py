import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from shadowmesh.control.home import Home
from shadowmesh.node import logs
from shadowmesh.node.errors import HomeUnusable


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)


def test_a_line_is_a_json_object_with_time_level_and_message(tmp_path: Path) -> None:
    home = Home(tmp_path)
    logs.start_logging(home, terminal=False)
    logging.getLogger("shadowmesh.test").info("hello %s", "there")
    entry = json.loads(home.log.read_text())
    assert entry["message"] == "hello there"
    assert entry["level"] == "INFO"
    assert entry["logger"] == "shadowmesh.test"
    assert entry["at"].startswith("20")
    assert home.log.stat().st_mode & 0o777 == 0o600


def test_the_log_is_rotated_and_stays_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_LOG_BYTES", 500)
    home = Home(tmp_path)
    logs.start_logging(home, terminal=False)
    for number in range(50):
        logging.getLogger("shadowmesh.test").info("line %d", number)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["log.jsonl", "log.jsonl.1", "log.jsonl.2"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_a_terminal_gets_readable_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.start_logging(Home(tmp_path), terminal=True)
    logging.getLogger("shadowmesh.test").warning("hello")
    assert "WARNING hello" in capsys.readouterr().err


def test_a_log_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    Home(tmp_path).log.mkdir()
    with pytest.raises(HomeUnusable, match="can't be written"):
        logs.start_logging(Home(tmp_path), terminal=False)
