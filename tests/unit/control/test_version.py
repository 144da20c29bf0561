from importlib import metadata

import pytest

from shadowmesh.control.version import SOURCE_VERSION, program_version


def test_an_installed_program_says_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda _: "1.2.3")
    assert program_version() == "1.2.3"


def test_a_checkout_says_that_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert program_version() == SOURCE_VERSION
