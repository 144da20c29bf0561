from pathlib import Path

from tests.unit.cli.program import run_apart, start_node


def test_it_returns_when_the_node_has_stopped_and_its_home_is_free(tmp_path: Path) -> None:
    start_node(tmp_path)
    outcome = run_apart("down", "--json", "--home", str(tmp_path))
    assert outcome.code == 0
    assert outcome.document["pid"] > 0
    start_node(tmp_path)
    assert "is down" in run_apart("down", "--home", str(tmp_path)).out
