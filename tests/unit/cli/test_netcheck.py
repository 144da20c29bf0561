from pathlib import Path

import pytest
from tests.unit.cli.program import run, run_apart


def test_a_node_without_a_backbone_says_that_nobody_could_be_asked(
    capsys: pytest.CaptureFixture[str], running_home: Path
) -> None:
    outcome = run(capsys, "netcheck", "--home", str(running_home))
    assert (outcome.code, outcome.err) == (0, "")
    assert "not known: no backbone node is configured" in outcome.out


def test_the_document_has_what_a_program_needs(capsys: pytest.CaptureFixture[str], running_home: Path) -> None:
    document = run(capsys, "netcheck", "--home", str(running_home), "--json").document
    assert document["schema"] == "shadowmesh/1"
    assert (document["udp"], document["observers"], document["regions"]) == (None, [], {})
    assert document["nat"]["mapping"] == "unknown"
    assert document["port"] > 0


def test_without_a_node_it_says_how_to_start_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    outcome = run(capsys, "netcheck", "--home", str(tmp_path))
    assert outcome.code == 3
    assert "start it with `shadowmesh up`" in outcome.error_line


def test_the_help_has_examples() -> None:
    assert "shadowmesh netcheck --json | jq" in run_apart("netcheck", "--help").out
