from pathlib import Path

import pytest

from shadowmesh.control.home import Home
from shadowmesh.node import identity_file
from shadowmesh.node.errors import IdentityProblem


def test_an_identity_is_made_once_and_never_replaced(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    identity = identity_file.create(home, None)
    before = home.key.read_bytes()
    with pytest.raises(IdentityProblem, match="exists"):
        identity_file.create(home, None)
    assert home.key.read_bytes() == before
    assert identity_file.load(home, None).fingerprint == identity.fingerprint
    assert home.key.stat().st_mode & 0o777 == 0o600


def test_a_sealed_key_says_its_fingerprint_and_opens_with_its_passphrase_only(tmp_path: Path) -> None:
    home = Home(tmp_path)
    identity = identity_file.create(home, "correct horse")
    assert identity_file.facts(home) == identity_file.KeyFileFacts(identity.fingerprint, sealed=True)
    assert identity_file.load(home, "correct horse").fingerprint == identity.fingerprint
    with pytest.raises(IdentityProblem, match="is sealed"):
        identity_file.load(home, None)
    with pytest.raises(IdentityProblem, match="does not open"):
        identity_file.load(home, "battery staple")


def test_a_missing_key_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(IdentityProblem, match="shadowmesh id"):
        identity_file.load(Home(tmp_path), None)


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"fingerprint": "sm1x"}', b"\xff" * 5000])
def test_a_damaged_key_is_reported_and_left_where_it_is(tmp_path: Path, damage: bytes) -> None:
    home = Home(tmp_path)
    home.key.write_bytes(damage)
    for read in (identity_file.facts, lambda home: identity_file.load(home, None)):
        with pytest.raises(IdentityProblem, match="is damaged"):
            read(home)
    assert home.key.read_bytes() == damage
    assert [path.name for path in tmp_path.iterdir()] == ["key.json"]


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IdentityProblem, match="can't be written"):
        identity_file.create(Home(tmp_path / "file" / "home"), None)
