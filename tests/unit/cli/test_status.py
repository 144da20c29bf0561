from pathlib import Path

import msgspec
import pytest
from tests.unit.cli.program import run

from shadowmesh.control.schema import StatusDocument


def test_the_document_is_that_of_the_schema(capsys: pytest.CaptureFixture[str], running_home: Path) -> None:
    outcome = run(capsys, "status", "--json", "--home", str(running_home))
    document = msgspec.json.decode(outcome.out, type=StatusDocument)
    assert document.link.state == "offline"
    assert document.engine.tun is None


def test_for_people_it_is_text(capsys: pytest.CaptureFixture[str], running_home: Path) -> None:
    outcome = run(capsys, "status", "--home", str(running_home))
    assert outcome.code == 0
    assert outcome.out.startswith("shadowmesh ")
    assert "no device" in outcome.out
