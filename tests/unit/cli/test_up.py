import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tests.unit.cli.program import run, run_apart
from tests.unit.identity.people import ALICE, BOB

from shadowmesh.control.schema import UpDocument

QUIET = ["--tun", "none", "--port", "0"]


def test_in_the_background_it_returns_when_ready(tmp_path: Path) -> None:
    up = run_apart("up", *QUIET, "--detach", "--json", "--home", str(tmp_path))
    try:
        document = msgspec.json.decode(up.out, type=UpDocument)
        assert document.tun is None
        status = run_apart("status", "--json", "--home", str(tmp_path)).document
        assert status["pid"] == document.pid
        again = run_apart("up", *QUIET, "--detach", "--home", str(tmp_path))
        assert again.code == 4
        assert f"process {document.pid}" in again.error_line
    finally:
        assert run_apart("down", "--home", str(tmp_path)).code == 0
    assert not (tmp_path / "control.sock").exists()


def test_in_the_foreground_it_logs_and_stops_by_a_signal(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "shadowmesh", "up", *QUIET, "--json", "--home", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        assert json.loads(node.stdout.readline())["pid"] == node.pid
        node.send_signal(signal.SIGINT)
        _, lines = node.communicate(timeout=20)
    assert node.returncode == 0
    assert "is up on UDP port" in lines
    assert lines.rstrip().endswith("stopped")


def test_an_error_of_the_background_process_is_shown_by_the_caller(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    outcome = run_apart("up", *QUIET, "--detach", "--home", str(folder))
    assert outcome.code == 9
    assert "longer than the 107 bytes" in outcome.error_line


@pytest.mark.privileged
def test_without_the_privilege_for_a_device_it_says_what_to_do() -> None:
    code = (
        "import os, sys; from shadowmesh.cli.main import main; import shadowmesh.node.privileges as p,"
        "shadowmesh.node.settings, shadowmesh.node.detach, shadowmesh.cli.up; p.missing_tun_privilege();"
        "os.setuid(65534); main(['up', '--home', '/nonexistent'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 8
    assert done.stderr.count("\n") == 1
    assert "--tun none" in done.stderr


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (["--backbone", "https://eu.example.org"], "no fingerprint"),
        (["--backbone", f"eu.example.org#{ALICE.fingerprint}"], "not an http(s) URL"),
        (["--region", "atlantis"], "atlantis"),
        (["--port", "70000"], "port"),
        (["--tun", "a name"], "tun"),
    ],
)
def test_a_wrong_option_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: list[str], named: str
) -> None:
    (tmp_path / "config.toml").write_text('tun = "none"')
    outcome = run(capsys, "up", *option, "--home", str(tmp_path))
    assert outcome.code == 9
    assert named in outcome.error_line
    assert not (tmp_path / "key.json").exists()


def test_a_pinned_backbone_needs_to_be_named_once(tmp_path: Path) -> None:
    pin = f"http://127.0.0.1:9#{ALICE.fingerprint}"
    for options in (["--backbone", pin], []):
        assert run_apart("up", *QUIET, *options, "--detach", "--home", str(tmp_path)).code == 0
        status = run_apart("status", "--json", "--home", str(tmp_path)).document
        assert status["link"]["url"] in ("", "http://127.0.0.1:9")
        assert "no backbone node is configured" not in status["link"]["reason"]
        run_apart("down", "--home", str(tmp_path))
    other = run_apart("up", *QUIET, "--backbone", f"http://127.0.0.1:9#{BOB.fingerprint}", "--home", str(tmp_path))
    assert other.code == 9
    assert "pinned with another fingerprint" in other.error_line


def test_a_node_that_is_killed_can_be_started_again(tmp_path: Path) -> None:
    home = str(tmp_path)
    for round_ in range(2):
        up = run_apart("up", *QUIET, "--detach", "--json", "--home", home)
        assert up.code == 0
        assert len(run_apart("peers", "list", "--json", "--home", home).document["trusted"]) == round_
        run_apart("peers", "trust", str((ALICE, BOB)[round_].fingerprint), "--home", home)
        os.kill(up.document["pid"], signal.SIGKILL)
    assert len(run_apart("peers", "list", "--json", "--home", home).document["trusted"]) == 2
