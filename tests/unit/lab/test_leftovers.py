import os
import signal
import subprocess
import sys

import pytest

from shadowmesh.lab.leftovers import MARKER, end_processes, owner

LAB = f"sm-{os.getpid()}-test"  # not that of another run on this machine
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def test_a_namespace_tells_its_lab_and_its_owner() -> None:
    assert owner("sm-1234-0-alice") == ("sm-1234-0", 1234)
    assert owner("sm-1234-17-alice-2") == ("sm-1234-17", 1234)


@pytest.mark.parametrize("name", ["alice", "sm-alice", "sm-12-alice", "sm-1-2-", "xsm-1-2-alice", "sm--1-2-alice"])
def test_a_namespace_that_no_lab_made_has_no_owner(name: str) -> None:
    assert owner(name) is None


def test_the_processes_of_a_lab_are_ended_and_no_others() -> None:
    with start(LAB) as ours, start(f"{LAB}1") as others:
        end_processes(LAB, grace_s=5)
        assert ours.wait(5) == -signal.SIGTERM
        assert others.poll() is None
        others.kill()


def test_a_process_that_ignores_the_request_is_killed_after_the_grace_time() -> None:
    with start(LAB, [sys.executable, "-c", STUBBORN]) as stubborn:
        assert stubborn.stdout is not None
        assert stubborn.stdout.readline() == b"up\n"
        end_processes(LAB, grace_s=0.1)
        assert stubborn.wait(5) == -signal.SIGKILL


def test_ending_nothing_is_no_error() -> None:
    end_processes(f"{LAB}-nobody")


def start(lab: str, command: list[str] | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command or ["sleep", "60"], env={**os.environ, MARKER: lab}, stdout=subprocess.PIPE)
