from __future__ import annotations

import socket
from pathlib import Path
from typing import cast

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import TestServer

from shadowmesh.control import schema
from shadowmesh.control.errors import ControlError, ErrorCode
from shadowmesh.control.home import Home
from shadowmesh.node.commands import Commands
from shadowmesh.node.control_server import bind, create_app
from shadowmesh.node.errors import HomeUnusable


async def test_a_document_is_answered_with_200() -> None:
    status, answer = await _ask("POST", "/v1/stop", b"")
    assert status == 200
    assert msgspec.json.decode(answer, type=schema.StoppingDocument).pid == 7


async def test_a_refusal_is_an_error_document_with_its_status() -> None:
    status, answer = await _ask("POST", "/v1/lookup", b'{"peer": "bob"}')
    assert status == 404
    error = msgspec.json.decode(answer, type=schema.ErrorDocument).error
    assert (error.code, error.problem, error.remedy) == ("peer-unknown", "who?", "ask")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff", b"{}", b'{"peer": 7}', b'{"peer": "a", "x": 1}', b"[" * 4000, b"x" * 5000],
)
async def test_what_is_no_request_is_refused(body: bytes) -> None:
    status, answer = await _ask("POST", "/v1/lookup", body)
    assert status == 400
    assert msgspec.json.decode(answer, type=schema.ErrorDocument).error.code == "usage"


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/nothing"), ("DELETE", "/v1/stop"), ("GET", "/")])
async def test_an_unknown_route_is_an_error_document(method: str, path: str) -> None:
    status, answer = await _ask(method, path, b"")
    assert status == 400
    assert msgspec.json.decode(answer, type=schema.ErrorDocument).error.code == "usage"


def test_the_socket_is_private_whatever_the_umask(tmp_path: Path) -> None:
    with bind(Home(tmp_path)):
        assert (tmp_path / "control.sock").stat().st_mode & 0o777 == 0o600
    with bind(Home(tmp_path)), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(tmp_path / "control.sock"))


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(HomeUnusable, match="can't be made"):
        bind(Home(tmp_path / "missing"))


class _Commands:
    """Answers one, refuses one."""

    async def stop(self, _: None) -> schema.StoppingDocument:
        return schema.StoppingDocument(pid=7)

    async def look_up(self, _: schema.PeerRequest) -> schema.LookupDocument:
        raise ControlError(ErrorCode.PEER_UNKNOWN, "who?", "ask")

    def __getattr__(self, name: str) -> None:
        return None


async def _ask(method: str, path: str, body: bytes) -> tuple[int, bytes]:
    app = create_app(cast("Commands", _Commands()))
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession() as session,
        session.request(method, server.make_url(path), data=body) as answer,
    ):
        return answer.status, await answer.read()
