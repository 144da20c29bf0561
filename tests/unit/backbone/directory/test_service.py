"""Which directory is served, and when a new one is signed."""

from pathlib import Path

import pytest
from tests.unit.backbone.world import SettableClock

from shadowmesh.backbone.directory.service import DirectoryService
from shadowmesh.backbone.errors import CannotStart
from shadowmesh.identity.keys import Identity
from shadowmesh.records.directory import MAX_DIRECTORY_AGE_S, BackboneNode, Directory, SignedDirectory

US, OTHER = Identity(b"1" * 32), Identity(b"2" * 32)


def test_alone_it_signs_its_own_and_serves_the_same_after_a_restart(tmp_path: Path) -> None:
    clock = SettableClock()
    first = make(tmp_path, clock).current
    SignedDirectory.decode(first.encoded).accept([US.fingerprint], now=clock.now)
    clock.advance(60)
    assert make(tmp_path, clock).current.encoded == first.encoded


def test_its_own_is_signed_anew_before_it_expires(tmp_path: Path) -> None:
    clock = SettableClock()
    service = make(tmp_path, clock)
    before = service.version
    clock.advance(MAX_DIRECTORY_AGE_S / 2)
    service.refresh()
    assert service.version > before
    assert service.current.expires_at == int(clock.now) + MAX_DIRECTORY_AGE_S


def test_a_new_url_means_a_new_version(tmp_path: Path) -> None:
    clock = SettableClock()
    before = make(tmp_path, clock).version
    after = make(tmp_path, clock, url="https://new.test")
    assert after.version == before + 1
    assert SignedDirectory.decode(after.current.encoded).directory.nodes[0].url == "https://new.test"


def test_a_clock_set_back_does_not_take_the_version_back(tmp_path: Path) -> None:
    clock = SettableClock()
    before = make(tmp_path, clock).version
    clock.advance(-1e6)
    assert make(tmp_path, clock, url="https://new.test").version == before + 1


def test_an_installed_directory_of_many_is_served_without_a_restart(tmp_path: Path) -> None:
    clock = SettableClock()
    service = make(tmp_path, clock)
    shared = directory(clock, service.version + 1, US, OTHER)
    (tmp_path / "directory.cose").write_bytes(shared.encoded)
    service.refresh()
    assert service.current.encoded == shared.encoded
    clock.advance(MAX_DIRECTORY_AGE_S * 2)
    service.refresh()
    assert service.current.encoded == shared.encoded


@pytest.mark.parametrize("case", ["older", "without us", "garbage", "gone"])
def test_a_file_that_cannot_be_served_changes_nothing(tmp_path: Path, case: str) -> None:
    clock = SettableClock()
    service = make(tmp_path, clock)
    before = service.current.encoded
    path = tmp_path / "directory.cose"
    match case:
        case "older":
            path.write_bytes(directory(clock, service.version - 1, US, OTHER).encoded)
        case "without us":
            path.write_bytes(directory(clock, service.version + 1, OTHER).encoded)
        case "garbage":
            path.write_bytes(b"garbage")
        case "gone":
            path.unlink()
    service.refresh()
    assert service.current.encoded == before


def test_a_damaged_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "directory.cose").write_bytes(b"garbage")
    with pytest.raises(CannotStart, match=r"directory\.cose"):
        make(tmp_path, SettableClock())


def make(folder: Path, clock: SettableClock, url: str = "https://us.test") -> DirectoryService:
    return DirectoryService(folder / "directory.cose", US, BackboneNode(US.public, 3, url, ()), clock)


def directory(clock: SettableClock, version: int, *identities: Identity) -> SignedDirectory:
    nodes = tuple(BackboneNode(identity.public, 3, "https://x.test", ()) for identity in identities)
    now = int(clock.now)
    return Directory(version, now, now + MAX_DIRECTORY_AGE_S, nodes).sign(*identities)
