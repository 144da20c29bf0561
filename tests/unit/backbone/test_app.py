"""The application as a whole."""

from pathlib import Path

import pytest
from tests.unit.backbone.world import world

from shadowmesh.backbone_protocol.problems import Problem


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/", "/v1", "/v1/health/"])
async def test_there_are_no_pages_beside_the_api(tmp_path: Path, path: str) -> None:
    async with world(tmp_path) as w:
        assert (await w.transport().request("GET", path, {}, None)).problem is Problem.NOT_FOUND


async def test_nothing_secret_is_in_the_repr_of_the_services(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        shown = repr(w.services)
        for secret in (w.identity.seed, client.proof_key):
            assert secret.hex() not in shown
            assert repr(secret)[2:-1] not in shown
        assert client.token not in shown
