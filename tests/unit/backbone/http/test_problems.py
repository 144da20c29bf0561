"""Errors as RFC 9457 documents."""

import json
import logging
from pathlib import Path

import pytest
from tests.unit.backbone.world import world

from shadowmesh.backbone.http.problems import problem_response, refusal
from shadowmesh.backbone.registry.service import Registry
from shadowmesh.backbone_protocol.problems import Problem


async def test_unknown_paths_and_methods_are_problems_too(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        assert (await w.transport().request("GET", "/v2/peers", {}, None)).problem is Problem.NOT_FOUND
        answer = await w.transport().request("DELETE", "/v1/health", {}, None)
        assert answer.problem is Problem.METHOD_NOT_ALLOWED
        assert "GET" in answer.headers["allow"]


async def test_our_own_mistake_is_logged_and_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    async with world(tmp_path) as w:
        client = await w.logged_in()
        monkeypatch.setattr(Registry, "find", broken)
        with caplog.at_level(logging.ERROR):
            answer = await client.transport.request("GET", f"/v1/peers/{client.peer}", client.bearer, None)
        assert answer.problem is Problem.INTERNAL
        assert b"secret" not in answer.body
        assert "secret detail" in caplog.text
        assert client.token not in caplog.text


def test_a_problem_document_has_the_members_of_rfc_9457() -> None:
    response = problem_response(refusal(TimeoutError()))
    document = json.loads(bytes(response.body))
    assert document["type"] == "urn:shadowmesh:problem:timed-out"
    assert document["status"] == response.status_code == 408
    assert document["title"]
