"""Asks the daemon: HTTP/1.1 over the Unix socket in its home folder, with the standard library alone."""

from __future__ import annotations

import http.client
import socket

import msgspec

from shadowmesh.control.errors import ControlError, DaemonNotRunning, ErrorCode
from shadowmesh.control.home import Home
from shadowmesh.control.routes import Q, R, Route
from shadowmesh.control.schema import MAX_DOCUMENT_BYTES, NOT_UNDERSTOOD, ErrorDocument

ANSWER_TIMEOUT_S = 10.0
"""A daemon answers from memory in a millisecond; a Pi that writes to a slow card takes seconds."""


def call(home: Home, route: Route[Q, R], request: Q, *, timeout_s: float = ANSWER_TIMEOUT_S) -> R:
    """One request, one document. Raises DaemonNotRunning, ControlError."""
    body = b"" if request is None else msgspec.json.encode(request)
    status, answer = _exchange(home, route.method, route.path, body, timeout_s)
    try:
        if status == http.client.OK:
            return msgspec.json.decode(answer, type=route.reply)
        error = msgspec.json.decode(answer, type=ErrorDocument).error
    except NOT_UNDERSTOOD as reason:
        raise ControlError(
            ErrorCode.FAILED, f"the daemon's answer is not understood ({reason})", "restart it after an upgrade"
        ) from None
    raise ControlError(ErrorCode.of_slug(error.code), error.problem, error.remedy)


def _exchange(home: Home, method: str, path: str, body: bytes, timeout_s: float) -> tuple[int, bytes]:
    connection = UnixConnection(home, timeout_s)
    try:
        connection.request(method, path, body=body or None, headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read(MAX_DOCUMENT_BYTES)
    except TimeoutError:
        raise ControlError(
            ErrorCode.FAILED, f"the daemon did not answer within {timeout_s:g} s", "see `shadowmesh logs`"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise ControlError(
            ErrorCode.FAILED, f"the daemon closed the connection ({error})", "see `shadowmesh logs`"
        ) from None
    finally:
        connection.close()


class UnixConnection(http.client.HTTPConnection):
    """To the daemon of a home. `connect` raises DaemonNotRunning, ControlError."""

    def __init__(self, home: Home, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._home = home

    def connect(self) -> None:
        if not self._home.control_socket_fits:
            # No daemon can listen there.
            raise DaemonNotRunning(str(self._home.folder))
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(str(self._home.control_socket))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise DaemonNotRunning(str(self._home.folder)) from None
        except PermissionError:
            raise ControlError(
                ErrorCode.PRIVILEGE,
                f"{self._home.control_socket} belongs to another user",
                "run as that user, or choose another folder with --home",
            ) from None
