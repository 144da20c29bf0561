"""Two operators make one directory of both their nodes."""

from pathlib import Path

import pytest
from tests.unit.backbone.world import SettableClock, seeded

from shadowmesh.backbone.data_folder import DataFolder
from shadowmesh.backbone.directory import editing
from shadowmesh.backbone.directory.service import DirectoryService
from shadowmesh.backbone.errors import CannotStart
from shadowmesh.identity import key_file
from shadowmesh.identity.keys import Identity
from shadowmesh.records.directory import BackboneNode

CLOCK = SettableClock()


def test_two_nodes_come_to_one_directory(tmp_path: Path) -> None:
    folders = [operator(tmp_path / name, name) for name in ("one", "two")]
    signed = editing.make(folders[0], describe(folders), now=CLOCK.now)
    file = tmp_path / "new.cose"
    editing.write(file, signed)
    editing.sign(folders[1], file)
    for folder in folders:
        editing.install(folder, file, now=CLOCK.now)
        installed = editing.load(folder.directory)
        installed.accept([folders[0].load_identity().fingerprint], now=CLOCK.now)
        installed.accept([folders[1].load_identity().fingerprint], now=CLOCK.now)


def test_a_lone_node_adds_its_signature_when_it_installs(tmp_path: Path) -> None:
    folders = [operator(tmp_path / name, name) for name in ("one", "two")]
    file = tmp_path / "new.cose"
    editing.write(file, editing.make(folders[0], describe(folders), now=CLOCK.now))
    editing.install(folders[1], file, now=CLOCK.now)
    editing.load(folders[1].directory).accept([folders[1].load_identity().fingerprint], now=CLOCK.now)


def test_one_of_two_cannot_change_the_directory_alone(tmp_path: Path) -> None:
    folders = [operator(tmp_path / name, name) for name in ("one", "two")]
    file = tmp_path / "new.cose"
    editing.write(file, editing.make(folders[0], describe(folders), now=CLOCK.now))
    editing.install(folders[0], file, now=CLOCK.now)
    editing.write(file, editing.make(folders[0], describe(folders[:1]), now=CLOCK.now))
    with pytest.raises(CannotStart, match="majority"):
        editing.install(folders[0], file, now=CLOCK.now)


def test_a_directory_without_this_node_is_refused(tmp_path: Path) -> None:
    folders = [operator(tmp_path / name, name) for name in ("one", "two")]
    file = tmp_path / "new.cose"
    editing.write(file, editing.make(folders[0], describe(folders[:1]), now=CLOCK.now))
    with pytest.raises(CannotStart, match="not listed"):
        editing.install(folders[1], file, now=CLOCK.now)


def test_an_older_version_is_refused(tmp_path: Path) -> None:
    folder = operator(tmp_path / "one", "one")
    file = tmp_path / "new.cose"
    editing.write(file, editing.load(folder.directory))
    with pytest.raises(CannotStart, match="not higher"):
        editing.install(folder, file, now=CLOCK.now)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    folder = operator(tmp_path / "one", "one")
    with pytest.raises(CannotStart, match=r"none\.cose"):
        editing.load(tmp_path / "none.cose")
    with pytest.raises(CannotStart, match=r"none\.json"):
        editing.make(folder, [tmp_path / "none.json"], now=CLOCK.now)


def operator(path: Path, name: str) -> DataFolder:
    folder = DataFolder(path)
    path.mkdir()
    identity = Identity(name.encode().ljust(32))
    folder.identity.write_bytes(key_file.encode(identity, None, seeded(1)))
    own = BackboneNode(identity.public, 3, f"https://{name}.test", ())
    DirectoryService(folder.directory, identity, own, CLOCK)
    return folder


def describe(folders: list[DataFolder]) -> list[Path]:
    files = []
    for folder in folders:
        file = folder.path / "described.json"
        file.write_bytes(
            editing.own_description(folder, url=f"https://{folder.path.name}.test", region="europe", stun=())
        )
        files.append(file)
    return files
