"""Logs to stderr: plain for people, JSON for machines. Tokens, keys and records are never logged."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

_FIELDS = "{asctime}{levelname}{name}{message}"


def set_up_logs(*, json_lines: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    if json_lines:
        handler.setFormatter(JsonFormatter(_FIELDS, style="{", rename_fields={"asctime": "time", "levelname": "level"}))
    else:
        handler.setFormatter(logging.Formatter("{asctime} {levelname} {name}: {message}", style="{"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # uvicorn's own lines name each connection's address and path.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
