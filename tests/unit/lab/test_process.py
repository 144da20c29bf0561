import signal
import subprocess
from pathlib import Path

import pytest

from shadowmesh.lab.errors import LabError
from shadowmesh.lab.process import Process


def test_a_process_tells_how_it_ended(tmp_path: Path) -> None:
    process = start(tmp_path, "exit 3")
    assert process.wait(5) == 3
    assert process.describe() == "exit status 3"


def test_waiting_for_a_process_that_runs_on_is_an_error(tmp_path: Path) -> None:
    process = start(tmp_path, "sleep 60")
    with pytest.raises(LabError, match=r"sh still runs after 0\.05 s"):
        process.wait(0.05)
    assert process.describe() == "running"
    assert process.kill() == -signal.SIGKILL


def test_stop_reaches_the_children_as_well(tmp_path: Path) -> None:
    process = start(tmp_path, "sleep 60 | sleep 60; echo never")
    assert process.stop() == -signal.SIGTERM
    assert process.output() == ""


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    process = start(tmp_path, "trap '' TERM; echo up; while :; do sleep 0.05; done")
    process.wait_for_output("up", 5)
    assert process.stop(grace_s=0.1) == -signal.SIGKILL


def test_stopping_what_has_ended_tells_how_it_ended(tmp_path: Path) -> None:
    process = start(tmp_path, "exit 3")
    process.wait(5)
    assert process.stop() == 3
    assert process.kill() == 3


def test_output_that_came_with_the_end_is_found(tmp_path: Path) -> None:
    process = start(tmp_path, "echo ready")
    process.wait(5)
    process.wait_for_output("ready", 5)


def test_a_process_that_ends_without_the_output_fails_with_its_log(tmp_path: Path) -> None:
    process = start(tmp_path, "echo the cause; exit 3")
    with pytest.raises(LabError, match=r"(?s)did not print 'ready': exit status 3\nthe cause"):
        process.wait_for_output("ready", 5)


def test_output_that_does_not_come_is_waited_for_no_longer_than_asked(tmp_path: Path) -> None:
    process = start(tmp_path, "sleep 60")
    with pytest.raises(LabError, match=r"did not print 'ready' within 0\.05 s"):
        process.wait_for_output("ready", 0.05)
    process.stop()


def test_the_tail_of_a_long_log_is_its_end(tmp_path: Path) -> None:
    process = start(tmp_path, "seq 1000")
    process.wait(5)
    assert process.tail().splitlines() == [str(number) for number in range(981, 1001)]


def start(directory: Path, script: str) -> Process:
    log = directory / "log"
    with log.open("wb") as output:
        popen = subprocess.Popen(["sh", "-c", script], stdout=output, stderr=output, start_new_session=True)
    return Process(popen, "sh", log)
