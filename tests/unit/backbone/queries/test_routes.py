"""The look-up route."""

from pathlib import Path

import pytest
from tests.unit.backbone.client import record_of
from tests.unit.backbone.world import world

from shadowmesh.backbone_protocol.body import JSON_MEDIA_TYPE, decode_json
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.queries import PeerReply


async def test_the_reply_has_a_json_twin(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        record = record_of(client.identity, issued_at=w.now)
        await client.publish(record)
        headers = {**client.bearer, "accept": JSON_MEDIA_TYPE}
        answer = await client.transport.request("GET", f"/v1/peers/{client.peer}", headers, None)
        assert answer.headers["content-type"] == JSON_MEDIA_TYPE
        assert decode_json(answer.body, PeerReply) == await client.look_up(client.peer)


@pytest.mark.parametrize("have", ["0", "0" * 17, "g" * 16, "00 00 00 00 00 0"])
async def test_a_strange_have_is_malformed(tmp_path: Path, have: str) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        await client.publish(record_of(client.identity, issued_at=w.now))
        path = f"/v1/peers/{client.peer}?have={have}"
        answer = await client.transport.request("GET", path, client.bearer, None)
        assert answer.problem is Problem.MALFORMED
