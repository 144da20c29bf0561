from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shadowmesh.control import client, routes, schema
from shadowmesh.control.errors import ControlError, DaemonNotRunning, ErrorCode
from shadowmesh.control.home import Home

STOPPING = b'{"schema":"shadowmesh/1","pid":7}'


def test_a_document_comes_back_typed(tmp_path: Path) -> None:
    with _daemon(tmp_path, _http(200, STOPPING)) as requests:
        assert client.call(Home(tmp_path), routes.STOP, None) == schema.StoppingDocument(pid=7)
    assert requests[0].startswith(b"POST /v1/stop HTTP/1.1\r\n")


def test_a_request_is_sent_as_json(tmp_path: Path) -> None:
    with _daemon(tmp_path, _http(404, b"")) as requests, pytest.raises(ControlError):
        client.call(Home(tmp_path), routes.LOOKUP, schema.PeerRequest(peer="bob"))
    assert requests[0].endswith(b'\r\n\r\n{"peer":"bob"}')


def test_a_refusal_keeps_its_code_and_words(tmp_path: Path) -> None:
    refusal = b'{"schema":"shadowmesh/1","error":{"code":"name-taken","problem":"p","remedy":"r"}}'
    with _daemon(tmp_path, _http(409, refusal)), pytest.raises(ControlError) as caught:
        client.call(Home(tmp_path), routes.STOP, None)
    assert (caught.value.code, caught.value.problem, caught.value.remedy) == (ErrorCode.NAME_TAKEN, "p", "r")


@pytest.mark.parametrize("home", ["missing", "."])
def test_no_socket_means_no_daemon(tmp_path: Path, home: str) -> None:
    with pytest.raises(DaemonNotRunning):
        client.call(Home(tmp_path / home), routes.STATUS, None)


def test_a_socket_that_nobody_listens_on_means_no_daemon(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "control.sock"))
    with pytest.raises(DaemonNotRunning):
        client.call(Home(tmp_path), routes.STATUS, None)


def test_a_path_that_no_socket_can_have_means_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(DaemonNotRunning):
        client.call(Home(tmp_path / ("x" * 120)), routes.STATUS, None)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xff",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nOops",
    ],
)
def test_an_answer_that_is_none_is_one_clear_line(tmp_path: Path, answer: bytes) -> None:
    with _daemon(tmp_path, answer), pytest.raises(ControlError) as caught:
        client.call(Home(tmp_path), routes.STATUS, None)
    assert caught.value.code is ErrorCode.FAILED
    assert "\n" not in str(caught.value)


def test_silence_ends_in_time(tmp_path: Path) -> None:
    with _daemon(tmp_path, None), pytest.raises(ControlError, match="did not answer"):
        client.call(Home(tmp_path), routes.STATUS, None, timeout_s=0.05)


def _http(status: int, body: bytes) -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _read_request(connection: socket.socket) -> bytes:
    """With its body, which the client sends apart from the head."""
    with connection.makefile("rb") as reader:
        head = b"".join(iter(reader.readline, b"\r\n")) + b"\r\n"
        length = re.search(rb"Content-Length: (\d+)", head)
        return head + reader.read(int(length[1]) if length else 0)


@contextmanager
def _daemon(folder: Path, answer: bytes | None) -> Iterator[list[bytes]]:
    """Answers one request with these bytes; None: never."""
    requests: list[bytes] = []
    done = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            requests.append(_read_request(connection))
            if answer is None:
                done.wait(10)
            else:
                connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "control.sock"))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield requests
        finally:
            done.set()
            thread.join(10)
