import os
from pathlib import Path

import pytest

from shadowmesh.control.home import MAX_SOCKET_PATH_BYTES, Home, default_home


def test_everything_is_in_one_folder() -> None:
    home = Home(Path("/x"))
    paths = [home.key, home.config, home.state, home.records, home.backbone_keys, home.lock, home.log]
    assert {path.parent for path in [*paths, home.control_socket]} == {Path("/x")}
    assert len(set(paths)) == len(paths)


def test_a_socket_path_of_107_bytes_fits_and_one_more_does_not() -> None:
    name_bytes = len("/control.sock")
    assert Home(Path("/" + "x" * (MAX_SOCKET_PATH_BYTES - name_bytes - 1))).control_socket_fits
    assert not Home(Path("/" + "x" * (MAX_SOCKET_PATH_BYTES - name_bytes))).control_socket_fits


def test_root_has_a_system_folder_and_others_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_home().folder == Path("/var/lib/shadowmesh")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert default_home().folder == Path("/somewhere/shadowmesh")
