"""In a process of its own, because it forks."""

import subprocess
import sys
from pathlib import Path

_PRELUDE = """
import os, sys, time
from pathlib import Path
from shadowmesh.control import schema
from shadowmesh.control.errors import ControlError, ErrorCode, ShadowMeshError
from shadowmesh.node import detach
log = Path(sys.argv[1])
identity = schema.Identity(peer_id="p", fingerprint="f", address="a")
def document():
    return schema.UpDocument(pid=os.getpid(), identity=identity, port=7, tun=None)
def start(run):
    try:
        print(detach.start(run, log))
    except ShadowMeshError as error:
        print(type(error).__name__, error.code.slug, error)
"""


def test_the_caller_goes_on_when_the_daemon_is_ready(tmp_path: Path) -> None:
    answer, _ = _run(tmp_path, "start(lambda ready: (ready(document()), ready(document())))")
    assert answer.startswith("UpDocument(")
    assert "port=7" in answer


def test_the_daemon_has_its_own_session_and_no_terminal(tmp_path: Path) -> None:
    code = "start(lambda ready: (sys.stderr.write(f'{os.getsid(0)} {os.getcwd()}\\n'), ready(document())))\n"
    _, log = _run(tmp_path, code + "print(os.getsid(0))")
    session, folder = log.split()
    assert folder == "/"
    assert session != _run(tmp_path, "print(os.getsid(0))")[0].strip()


def test_an_expected_failure_reaches_the_caller_in_its_own_words(tmp_path: Path) -> None:
    code = "def fail(ready):\n    raise ControlError(ErrorCode.PRIVILEGE, 'no device', 'be root')\nstart(fail)"
    answer, _ = _run(tmp_path, code)
    assert answer == "ControlError privilege no device; be root\n"


def test_a_crash_is_one_line_for_the_caller_and_a_traceback_in_the_log(tmp_path: Path) -> None:
    answer, log = _run(tmp_path, "start(lambda ready: 1 / 0)")
    assert answer.startswith("ControlError failed the daemon ended")
    assert "ZeroDivisionError" in log


def test_a_daemon_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    answer, _ = _run(tmp_path, "detach.READY_TIMEOUT_S = 0.05\nstart(lambda ready: time.sleep(0.5))")
    assert "was not ready within" in answer


def _run(folder: Path, code: str) -> tuple[str, str]:
    log = folder / "log.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + code, str(log)], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stderr == ""
    return done.stdout, log.read_text() if log.exists() else ""
