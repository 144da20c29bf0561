"""Health and metrics."""

from ipaddress import ip_network
from pathlib import Path

import pytest
from tests.unit.backbone.world import world


async def test_live_and_ready(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for name in ("live", "ready"):
            assert (await w.transport().request("GET", f"/v1/health/{name}", {}, None)).status == 200


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
