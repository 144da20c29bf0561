"""Health and metrics."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from shadowmesh.backbone.health.service import HealthReply
from shadowmesh.backbone.limits.rates import Rate
from shadowmesh.backbone_protocol.body import decode_json
from shadowmesh.backbone_protocol.problems import Problem
from tests.unit.backbone.client import record_of
from tests.unit.backbone.world import limited, world


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


async def test_live_and_ready(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for name in ("live", "ready"):
            assert (await w.transport().request("GET", f"/v1/health/{name}", {}, None)).status == 200


async def test_a_store_that_is_gone_means_not_ready_but_live(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.services.store.close()
        assert (await w.transport().request("GET", "/v1/health/ready", {}, None)).problem is Problem.OVERLOADED
        assert (await w.transport().request("GET", "/v1/health/live", {}, None)).status == 200


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("10.1.2.3", {}, 200),
        ("192.0.2.1", {}, 404),
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.1"}, 404),
    ],
)
async def test_metrics_are_for_the_operator(tmp_path: Path, address: str, headers: dict[str, str], status: int) -> None:
    async with world(tmp_path, metrics_from=(ip_network("10.0.0.0/8"),)) as w:
        assert (await w.transport(address).request("GET", "/metrics", headers, None)).status == status


async def test_metrics_count_what_happened(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        await client.publish(record_of(client.identity, issued_at=w.now))
        await client.look_up(client.peer)
        await client.transport.request("GET", "/v1/peers/" + "0" * 40, client.bearer, None)
        text = (await w.transport("127.0.0.1").request("GET", "/metrics", {}, None)).body.decode()
    for line in (
        'shadowmesh_logins_total{result="ok"} 1.0',
        'shadowmesh_publishes_total{result="ok"} 1.0',
        'shadowmesh_lookups_total{result="hit"} 1.0',
        'shadowmesh_lookups_total{result="miss"} 1.0',
        'shadowmesh_refusals_total{problem="peer-unknown"} 1.0',
        "shadowmesh_records 1.0",
        'shadowmesh_http_request_seconds_count{route="/v1/peers/{peer}",status="404"} 1.0',
    ):
        assert line in text
