from pathlib import Path

import msgspec
import pytest
from tests.unit.cli.program import run

from shadowmesh.control.schema import IdentityDocument


def test_an_identity_is_made_and_then_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = _document(run(capsys, "id", "--home", str(tmp_path), "--json").out)
    assert made.created
    shown = _document(run(capsys, "id", "--home", str(tmp_path), "--json").out)
    assert not shown.created
    assert shown.identity == made.identity
    assert shown.identity.fingerprint in run(capsys, "id", "--home", str(tmp_path)).out


def test_new_never_replaces(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(capsys, "id", "--new", "--home", str(tmp_path)).code == 0
    outcome = run(capsys, "id", "--new", "--home", str(tmp_path))
    assert outcome.code == 7
    assert "exists" in outcome.error_line


def test_a_passphrase_seals_the_key(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "passphrase").write_text("correct horse\n")
    monkeypatch.setenv("SHADOWMESH_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    assert _document(run(capsys, "id", "--home", str(tmp_path / "home"), "--json").out).sealed
    monkeypatch.delenv("SHADOWMESH_PASSPHRASE_FILE")
    outcome = run(capsys, "up", "--tun", "none", "--home", str(tmp_path / "home"))
    assert outcome.code == 7
    assert "sealed with a passphrase" in outcome.error_line


def _document(text: str) -> IdentityDocument:
    return msgspec.json.decode(text, type=IdentityDocument)
