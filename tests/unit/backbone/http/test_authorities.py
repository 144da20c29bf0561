"""Which of the server's names a log-in was signed for."""

from collections.abc import Awaitable
from dataclasses import replace as replace_dataclass
from pathlib import Path

import pytest
from tests.unit.backbone.client import Client, Refusal
from tests.unit.backbone.world import world

from shadowmesh.backbone_protocol.problems import Problem


async def test_a_signature_for_another_authority_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        client.authority = "evil.test"
        assert await refused(client.login()) is Problem.BAD_SIGNATURE


async def test_the_host_header_does_not_choose_a_foreign_authority(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = Client(replace_dataclass(w.transport(), host="evil.test"))
        client.authority = "evil.test"
        assert await refused(client.login()) is Problem.BAD_SIGNATURE


async def test_a_login_is_accepted_for_each_of_the_servers_names(tmp_path: Path) -> None:
    async with world(tmp_path, urls=("https://backbone.test", "https://eu.test:8443")) as w:
        client = Client(replace_dataclass(w.transport(), host="EU.test:8443"), authority="eu.test:8443")
        await client.login()


async def refused(attempt: Awaitable[object]) -> Problem | None:
    with pytest.raises(Refusal) as refusal:
        await attempt
    return refusal.value.problem
