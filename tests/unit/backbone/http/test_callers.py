"""Bearer tokens in requests."""

from pathlib import Path

import pytest
from tests.unit.backbone.world import world

from shadowmesh.backbone_protocol.problems import Problem


async def test_a_look_up_needs_a_token(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        answer = await client.transport.request("GET", f"/v1/peers/{client.peer}", {}, None)
        assert answer.problem is Problem.TOKEN_MISSING
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic eDp4", "x" * 5000])
async def test_another_kind_of_authorization_is_no_token(tmp_path: Path, header: str) -> None:
    async with world(tmp_path) as w:
        answer = await w.transport().request("GET", "/v1/peers/" + "0" * 40, {"authorization": header}, None)
        assert answer.problem is Problem.TOKEN_MISSING


async def test_the_scheme_is_read_in_any_case(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        headers = {"authorization": f"bEaReR {client.token}"}
        answer = await w.transport().request("GET", "/v1/peers/" + "0" * 40, headers, None)
        assert answer.problem is Problem.PEER_UNKNOWN


async def test_the_query_is_part_of_what_a_proof_covers(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        answer = await client.send_proven("POST", "/v1/auth/renew?with=query", b"")
        assert answer.status == 200
