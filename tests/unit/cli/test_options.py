from pathlib import Path

import pytest

from shadowmesh.cli.options import home_of, read_passphrase
from shadowmesh.control.errors import ControlError


def test_a_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert home_of(Path("node")).folder == tmp_path / "node"
    assert home_of(Path("~/node")).folder.is_absolute()


def test_the_passphrase_is_the_first_line(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("correct horse\r\nbattery\n")
    assert read_passphrase(file) == "correct horse"
    assert read_passphrase(None) is None


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\n"])
def test_a_file_without_a_passphrase_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(content)
    with pytest.raises(ControlError):
        read_passphrase(file)
    with pytest.raises(ControlError):
        read_passphrase(tmp_path / "missing")
