"""Logs for people and for machines."""

import json
import subprocess
import sys

SCRIPT = """
import logging, sys
from shadowmesh.backbone.logs import set_up_logs
set_up_logs(json_lines=sys.argv[1] == "json")
logging.getLogger("shadowmesh.test").warning("%s happened", "something")
logging.getLogger("uvicorn.error").info("an address")
"""


def test_json_logs_are_one_document_a_line() -> None:
    document = json.loads(logged("json"))
    assert (document["level"], document["message"]) == ("WARNING", "something happened")
    assert document["time"]


def test_plain_logs_are_one_line() -> None:
    assert logged("plain").rstrip().endswith("WARNING shadowmesh.test: something happened")


def logged(kind: str) -> str:
    command = [sys.executable, "-c", SCRIPT, kind]
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20, env=environment)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    return done.stderr
