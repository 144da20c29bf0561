from pathlib import Path

import pytest
from tests.unit.cli.program import run
from tests.unit.identity.people import BOB


def test_a_peer_that_nobody_knows_is_one_line_and_exit_code_5(
    capsys: pytest.CaptureFixture[str], running_home: Path
) -> None:
    outcome = run(capsys, "lookup", str(BOB.peer_id), "--home", str(running_home))
    assert outcome.code == 5
    assert outcome.error_line
    assert outcome.out == ""


def test_its_document_says_that_it_was_not_found(capsys: pytest.CaptureFixture[str], running_home: Path) -> None:
    outcome = run(capsys, "lookup", str(BOB.peer_id), "--json", "--home", str(running_home))
    assert outcome.code == 5
    assert outcome.document["found"] is False
    assert outcome.document["failure"]


def test_a_name_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str], running_home: Path) -> None:
    outcome = run(capsys, "lookup", "nobody", "--home", str(running_home))
    assert outcome.code == 5
    assert "nobody" in outcome.error_line
