"""`shadowmesh demo` as a user runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.privileged

DEMO = [sys.executable, "-m", "shadowmesh", "demo", "--mib", "256"]


def test_the_demo_shows_what_it_claims_and_ends_with_0() -> None:
    result = subprocess.run([*DEMO, "--json"], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["file_bytes"] == 256 << 20
    assert figures["received_after_backbone_died"] > 0
    assert figures["backbone_bytes_during_transfer"] < 100_000
    assert figures["handshake_ms"] > 0


def test_ctrl_c_leaves_nothing_behind() -> None:
    before = namespaces()
    process = subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while namespaces() == before:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert namespaces() == before


def namespaces() -> set[str]:
    folder = Path("/run/netns")
    return {entry.name for entry in folder.iterdir()} if folder.exists() else set()
