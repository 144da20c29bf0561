from pathlib import Path

import pytest
from tests.unit.cli.program import run
from tests.unit.identity.people import BOB


def test_a_stranger_is_not_pinged(capsys: pytest.CaptureFixture[str], running_home: Path) -> None:
    outcome = run(capsys, "ping", str(BOB.fingerprint), "--home", str(running_home))
    assert outcome.code == 5
    assert "is not trusted" in outcome.error_line


def test_a_peer_that_cannot_be_reached_is_one_line_with_the_reason(
    capsys: pytest.CaptureFixture[str], running_home: Path
) -> None:
    home = str(running_home)
    run(capsys, "peers", "trust", str(BOB.fingerprint), "--name", "bob", "--home", home)
    try:
        outcome = run(capsys, "ping", "bob", "--home", home)
        assert outcome.code == 6
        assert "can't connect" in outcome.error_line
    finally:
        run(capsys, "peers", "untrust", "bob", "--home", home)
