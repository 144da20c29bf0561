"""What is counted."""

from pathlib import Path

from tests.unit.backbone.client import record_of
from tests.unit.backbone.world import world


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
