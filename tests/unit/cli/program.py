"""Runs the program as a person does: words in, exit code and two streams out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shadowmesh.cli.main import main


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one line on stdout."""
        (line,) = self.out.splitlines()
        document: dict[str, Any] = json.loads(line)
        return document

    @property
    def error_line(self) -> str:
        """The one line on stderr."""
        (line,) = self.err.splitlines()
        assert line.startswith("shadowmesh: ")
        return line


def run(capsys: pytest.CaptureFixture[str], *words: str) -> Outcome:
    """In this process."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(words)
    streams = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return Outcome(caught.value.code, streams.out, streams.err)


def run_apart(*words: str, **environment: str) -> Outcome:
    """In a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "shadowmesh", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def start_node(home: Path) -> None:
    started = run_apart("up", "--home", str(home), "--tun", "none", "--port", "0", "--detach")
    assert started.code == 0, started.err


def stop_node(home: Path) -> None:
    run_apart("down", "--home", str(home))
