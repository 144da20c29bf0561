"""A request's head, against a real server on raw sockets."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.backbone.live import LiveServer, live_server

from shadowmesh.backbone.http import protocol


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveServer]:
    monkeypatch.setattr(protocol, "HEAD_TIME_S", 0.3)
    with live_server(tmp_path) as running:
        yield running


def test_a_head_that_never_ends_is_cut_off(server: LiveServer) -> None:
    with connection(server) as own, pytest.raises(OSError, match=r"reset|Broken pipe"):
        flood(own, b"GET / HTTP/1.1\r\n", b"X-Filler: " + b"x" * 1000 + b"\r\n")


def test_a_head_that_comes_too_slowly_is_cut_off(server: LiveServer) -> None:
    with connection(server) as own:
        own.sendall(b"GET /v1/health HTTP/1.1\r\n")
        assert ended(own)


def test_a_connection_that_says_nothing_is_cut_off(server: LiveServer) -> None:
    with connection(server) as own:
        assert ended(own)


def test_requests_on_one_connection_are_not_cut_off(server: LiveServer) -> None:
    with connection(server) as own:
        for _ in range(30):
            own.sendall(b"GET /v1/health/live HTTP/1.1\r\nHost: x\r\nX-Filler: " + b"x" * 2000 + b"\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                answer += own.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200")


def test_a_body_after_the_answer_is_cut_off(server: LiveServer) -> None:
    head = b"POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connection(server) as own, pytest.raises(OSError, match=r"reset|Broken pipe"):
        flood(own, head, b"1000\r\n" + bytes(4096) + b"\r\n")


def test_what_is_no_http_is_answered_and_cut_off(server: LiveServer) -> None:
    with connection(server) as own:
        own.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        assert own.recv(4096).startswith(b"HTTP/1.1 400")


def flood(own: socket.socket, head: bytes, piece: bytes) -> None:
    own.sendall(head)
    for _ in range(10_000):
        own.sendall(piece)


def connection(server: LiveServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=5)


def ended(own: socket.socket) -> bool:
    try:
        return own.recv(1) == b""
    except ConnectionResetError:
        return True
