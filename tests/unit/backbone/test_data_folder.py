"""The data folder and its lock."""

import stat
from pathlib import Path

import pytest
from tests.unit.backbone.world import seeded

from shadowmesh.backbone.data_folder import DataFolder
from shadowmesh.backbone.errors import CannotStart


def test_the_identity_is_made_once_and_private(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    lock = folder.open()
    first = folder.load_or_make_identity(seeded(1))
    assert folder.load_or_make_identity(seeded(2)).fingerprint == first.fingerprint
    assert stat.S_IMODE(folder.identity.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    lock.close()


def test_a_second_writer_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    lock = DataFolder(tmp_path).open()
    with pytest.raises(CannotStart, match="another backbone process"):
        DataFolder(tmp_path).open()
    lock.close()
    DataFolder(tmp_path).open().close()


def test_a_file_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CannotStart, match="file"):
        DataFolder(tmp_path / "file").open()


def test_a_damaged_identity_is_named_and_kept(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.identity.write_bytes(b"{}")
    with pytest.raises(CannotStart, match=r"identity\.json"):
        folder.load_or_make_identity(seeded(1))
    assert folder.identity.read_bytes() == b"{}"
