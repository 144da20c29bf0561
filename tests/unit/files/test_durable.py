import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shadowmesh.files import durable

_OLD = b"old" * 40_000
_NEW = b"new" * 40_000
_KILLS = 12


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    durable.replace(path, _OLD)
    durable.replace(path, b"x")
    assert path.read_bytes() == b"x"


def test_a_replaced_file_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(mode=0o644)
    durable.replace(path, b"x")
    assert mode_of(path) == 0o600


def test_a_created_file_can_be_read_by_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        durable.create(tmp_path / "key", b"x")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "key") == 0o600


def test_create_does_not_touch_a_file_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "key"
    durable.create(path, _OLD)
    with pytest.raises(FileExistsError):
        durable.create(path, _NEW)
    assert path.read_bytes() == _OLD


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    durable.create(path, _OLD)
    durable.replace(path, _NEW)
    with pytest.raises(FileExistsError):
        durable.create(path, _OLD)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_place_of_the_file_is_an_error_that_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.mkdir()
    with pytest.raises(OSError, match="irectory"):
        durable.replace(path, b"x")
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "key"
    durable.replace(path, _OLD)
    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space"):
        durable.replace(path, _NEW)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == _OLD


def test_what_a_killed_process_left_is_swept_by_the_next_write(tmp_path: Path) -> None:
    leftover = make_leftover(tmp_path, age_s=120)
    durable.replace(tmp_path / "key", b"x")
    assert not leftover.exists()


def test_the_temporary_file_of_a_process_that_still_writes_is_left_alone(tmp_path: Path) -> None:
    fresh = make_leftover(tmp_path, age_s=1)
    durable.replace(tmp_path / "key", b"x")
    assert fresh.exists()


def test_other_hidden_files_are_left_alone(tmp_path: Path) -> None:
    neighbour = tmp_path / ".key.swp"
    neighbour.touch()
    os.utime(neighbour, (0, 0))
    durable.replace(tmp_path / "key", b"x")
    assert neighbour.exists()


def test_a_private_folder_is_its_owners_only(tmp_path: Path) -> None:
    durable.make_private_folder(tmp_path / "state" / "node")
    assert mode_of(tmp_path / "state" / "node") == 0o700


def test_an_existing_folder_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    durable.make_private_folder(tmp_path)
    assert mode_of(tmp_path) == 0o755


def test_kill_9_at_any_moment_leaves_the_old_content_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "registry"
    durable.replace(path, _OLD)
    for attempt in range(_KILLS):
        kill_while_it_runs(_REPLACE_FOR_EVER, path, after_s=0.003 * attempt)
        assert path.read_bytes() in (_OLD, _NEW)
        assert mode_of(path) == 0o600


def test_kill_9_while_creating_leaves_nothing_or_the_whole_file(tmp_path: Path) -> None:
    for attempt in range(_KILLS):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        kill_while_it_runs(_CREATE_FOR_EVER, folder, after_s=0.003 * attempt)
        created = [path for path in folder.iterdir() if not path.name.startswith(".")]
        assert all(path.read_bytes() == _NEW for path in created)


_REPLACE_FOR_EVER = """
while True:
    durable.replace(path, b"new" * 40_000)
    durable.replace(path, b"old" * 40_000)
"""
_CREATE_FOR_EVER = """
for number in itertools.count():
    durable.create(path / str(number), b"new" * 40_000)
"""


def kill_while_it_runs(loop: str, path: Path, *, after_s: float) -> None:
    """Where in its loop the signal finds the writer is chance."""
    program = f"""
import itertools, pathlib, sys
from shadowmesh.files import durable
path = pathlib.Path(sys.argv[1])
print(flush=True)
{loop}"""
    with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"\n"
        time.sleep(after_s)
        writer.kill()
    assert writer.returncode == -signal.SIGKILL


def make_leftover(folder: Path, *, age_s: float) -> Path:
    leftover = folder / ".key.abcdefgh.shadowmesh-new"
    leftover.write_bytes(b"half a k")
    now = time.time()
    os.utime(leftover, (now - age_s, now - age_s))
    return leftover


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
