"""What health says."""

from pathlib import Path

from tests.unit.backbone.world import limited, world

from shadowmesh.backbone.health.service import HealthReply
from shadowmesh.backbone.limits.rates import Rate
from shadowmesh.backbone_protocol.body import decode_json
from shadowmesh.backbone_protocol.problems import Problem


async def test_health_hands_out_a_challenge_that_serves(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        answer = await w.transport().request("GET", "/v1/health", {}, None)
        health = decode_json(answer.body, HealthReply)
        assert health.status == "ok"
        assert health.fingerprint == str(w.identity.fingerprint)
        assert health.next_challenge is not None
        await w.client().login(challenge=health.next_challenge)


async def test_health_still_answers_who_has_had_its_challenges(tmp_path: Path) -> None:
    async with world(tmp_path, rates=limited(challenges_per_address=Rate(0.001, 1))) as w:
        await w.client().challenge()
        answer = await w.transport().request("GET", "/v1/health", {}, None)
        assert decode_json(answer.body, HealthReply).next_challenge is None


async def test_a_store_that_is_gone_means_not_ready_but_live(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.services.store.close()
        assert (await w.transport().request("GET", "/v1/health/ready", {}, None)).problem is Problem.OVERLOADED
        assert (await w.transport().request("GET", "/v1/health/live", {}, None)).status == 200
