"""The log-in routes: encodings, revocation, and what they count."""

from collections.abc import Awaitable
from pathlib import Path

import pytest
from tests.unit.backbone.client import Refusal
from tests.unit.backbone.world import world

from shadowmesh.backbone_protocol.body import JSON_MEDIA_TYPE, decode_json, encode_cbor, encode_json
from shadowmesh.backbone_protocol.login import LoginReply
from shadowmesh.backbone_protocol.problems import Problem


async def test_a_login_works_in_json_as_well(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        request, _ = client.login_request(await client.challenge())
        headers = {"content-type": JSON_MEDIA_TYPE, "accept": JSON_MEDIA_TYPE}
        answer = await client.transport.request("POST", "/v1/auth/login", headers, encode_json(request))
        decode_json(answer.body, LoginReply).verify(w.identity.public, request)


async def test_a_login_that_is_not_canonical_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        request, _ = client.login_request(await client.challenge())
        encoded = encode_cbor(request)
        longer = bytes([0xB8, encoded[0] & 31]) + encoded[1:]  # the map's length in two bytes that fits in one
        assert await refused(client.send("POST", "/v1/auth/login", longer)) is Problem.NOT_CANONICAL


async def test_a_revoked_token_is_refused_also_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        await client.revoke()
        assert await refused(client.look_up(client.peer)) is Problem.TOKEN_INVALID
    async with world(tmp_path) as w:
        client.transport = w.transport()
        assert await refused(client.look_up(client.peer)) is Problem.TOKEN_INVALID


async def refused(attempt: Awaitable[object]) -> Problem | None:
    with pytest.raises(Refusal) as refusal:
        await attempt
    return refusal.value.problem
