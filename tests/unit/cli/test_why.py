from pathlib import Path

import pytest
from tests.unit.cli.program import run, run_apart
from tests.unit.identity.people import BOB


def test_who_is_not_trusted_has_no_story(capsys: pytest.CaptureFixture[str], running_home: Path) -> None:
    outcome = run(capsys, "why", "nobody", "--home", str(running_home))
    assert outcome.code == 5
    assert "no trusted peer is called 'nobody'" in outcome.error_line


def test_a_peer_that_can_not_be_found(capsys: pytest.CaptureFixture[str], running_home: Path) -> None:
    home = str(running_home)
    run(capsys, "peers", "trust", str(BOB.fingerprint), "--name", "bob", "--home", home)
    try:
        run(capsys, "ping", "bob", "--home", home)
        told = run(capsys, "why", "bob", "--home", home)
        assert told.code == 0
        assert told.out.startswith("bob is not reached: no record of bob is held")
        assert "What to do:" in told.out
        document = run(capsys, "why", "bob", "--home", home, "--json").document
        assert (document["schema"], document["has_record"], document["punch"]) == ("shadowmesh/1", False, None)
    finally:
        run(capsys, "peers", "untrust", "bob", "--home", home)


def test_the_help_has_examples() -> None:
    assert "shadowmesh why alice" in run_apart("why", "--help").out
