"""Media types, asked for and given."""

from pathlib import Path

import pytest
from tests.unit.backbone.world import world

from shadowmesh.backbone_protocol.body import CBOR_MEDIA_TYPE, JSON_MEDIA_TYPE
from shadowmesh.backbone_protocol.problems import Problem


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("", JSON_MEDIA_TYPE),
        ("*/*", JSON_MEDIA_TYPE),
        ("application/cbor", CBOR_MEDIA_TYPE),
        ("Application/CBOR;q=0.9, application/json;q=0.1", CBOR_MEDIA_TYPE),
        ("text/html, application/json", JSON_MEDIA_TYPE),
    ],
)
async def test_the_reply_is_what_was_asked_for(tmp_path: Path, accept: str, given: str) -> None:
    async with world(tmp_path) as w:
        answer = await w.transport().request("GET", "/v1/health", {"accept": accept}, None)
        assert answer.headers["content-type"] == given
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/cose"])
async def test_another_media_type_is_not_read(tmp_path: Path, media_type: str) -> None:
    async with world(tmp_path) as w:
        answer = await w.transport().request("POST", "/v1/auth/login", {"content-type": media_type}, b"{}")
        assert answer.problem is Problem.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize("body", [b"", b"null", b"{", b"[]", b'{"x":1}', b"\xff", b"[" * 10_000])
async def test_json_that_is_no_login_is_malformed(tmp_path: Path, body: bytes) -> None:
    async with world(tmp_path) as w:
        answer = await w.transport().request("POST", "/v1/auth/login", {"content-type": JSON_MEDIA_TYPE}, body)
        assert answer.problem is Problem.MALFORMED
