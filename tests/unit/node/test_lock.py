import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shadowmesh.control.home import Home
from shadowmesh.node.errors import HomeInUse, HomeUnusable
from shadowmesh.node.lock import HomeLock, wait_until_released


def test_a_second_holder_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    with _holder(tmp_path) as holder, pytest.raises(HomeInUse, match=f"process {holder.pid} uses"):
        HomeLock.acquire(Home(tmp_path))


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    with _holder(tmp_path) as holder:
        holder.kill()
    HomeLock.acquire(Home(tmp_path)).release()


def test_the_folder_is_made_private(tmp_path: Path) -> None:
    HomeLock.acquire(Home(tmp_path / "new")).release()
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnusable, match="can't be used"):
        HomeLock.acquire(Home(tmp_path / "file" / "home"))


def test_waiting_ends_when_the_holder_has_gone(tmp_path: Path) -> None:
    with _holder(tmp_path) as holder:
        with pytest.raises(HomeInUse):
            wait_until_released(Home(tmp_path), 0)
        holder.kill()
        wait_until_released(Home(tmp_path), 10)


@contextmanager
def _holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    code = (
        "import sys; from pathlib import Path; from shadowmesh.control.home import Home;"
        "from shadowmesh.node.lock import HomeLock; lock = HomeLock.acquire(Home(Path(sys.argv[1])));"
        "print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.kill()
