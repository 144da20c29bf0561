"""The daemon's log: JSON lines in the home folder, and lines for a person where there is a terminal."""

from __future__ import annotations

import io
import logging
import os
from logging.handlers import RotatingFileHandler

from pythonjsonlogger.json import JsonFormatter

from shadowmesh.control.home import Home
from shadowmesh.files.durable import PRIVATE_FILE_MODE
from shadowmesh.node.errors import HomeUnusable

MAX_LOG_BYTES = 2 * 1024 * 1024
KEPT_LOGS = 2
"""6 MB with the current one: a card in a Pi has room for it, and it holds weeks of a quiet node."""


class PrivateRotatingHandler(RotatingFileHandler):
    """Every file it makes has mode 0600 from its first byte."""

    def _open(self) -> io.TextIOWrapper:
        descriptor = os.open(
            self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE_MODE
        )
        return os.fdopen(descriptor, "a", encoding="utf-8")


def start_logging(home: Home, *, terminal: bool) -> None:
    """For the whole process. Raises HomeUnusable."""
    try:
        file = PrivateRotatingHandler(home.log, maxBytes=MAX_LOG_BYTES, backupCount=KEPT_LOGS, encoding="utf-8")
    except OSError as error:
        raise HomeUnusable(f"{home.log} can't be written ({error.strerror})", "check its owner and mode") from None
    file.setFormatter(
        JsonFormatter(
            "{levelname}{name}{message}",
            style="{",
            timestamp="at",
            rename_fields={"levelname": "level", "name": "logger"},
        )
    )
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(file)
    if terminal:
        lines = logging.StreamHandler()
        lines.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
        root.addHandler(lines)
    # Their INFO is noise to an owner.
    for name in ("uvicorn", "aiohttp", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
