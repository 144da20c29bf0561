"""Revoked tokens, as long as they would have lived."""

from pathlib import Path

import pytest
from tests.unit.backbone.client import Refusal
from tests.unit.backbone.world import world

from shadowmesh.backbone.auth import denied_tokens
from shadowmesh.backbone.auth.tokens import TOKEN_LIFETIME_S
from shadowmesh.backbone_protocol.problems import Problem


async def test_a_revocation_is_forgotten_when_the_token_would_have_expired(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        await client.revoke()
        w.clock.advance(TOKEN_LIFETIME_S + 1)
        await w.services.sweep()
        assert await w.services.store.denied() == {}


async def test_a_full_list_refuses_rather_than_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denied_tokens, "MAX_DENIED_TOKENS", 1)
    async with world(tmp_path) as w:
        first, second = await w.logged_in(), await w.logged_in()
        await first.revoke()
        with pytest.raises(Refusal) as refusal:
            await second.revoke()
        assert refusal.value.problem is Problem.OVERLOADED
