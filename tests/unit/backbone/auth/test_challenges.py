"""Challenges without memory."""

from collections.abc import Awaitable
from pathlib import Path

import msgspec
import pytest
from tests.unit.backbone.client import Refusal
from tests.unit.backbone.world import world

from shadowmesh.backbone.auth.challenges import CHALLENGE_LIFETIME_S
from shadowmesh.backbone_protocol.problems import Problem


async def test_a_forged_tag_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        challenge = msgspec.structs.replace(await client.challenge(), tag=bytes(16))
        assert await refused(client.login(challenge=challenge)) is Problem.CHALLENGE_FORGED


async def test_a_later_expiry_than_the_servers_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        challenge = await client.challenge()
        longer = msgspec.structs.replace(challenge, expires=challenge.expires + 3600)
        assert await refused(client.login(challenge=longer)) is Problem.CHALLENGE_FORGED


async def test_an_expired_challenge_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        challenge = await client.challenge()
        w.clock.advance(CHALLENGE_LIFETIME_S)
        assert await refused(client.login(challenge=challenge)) is Problem.CHALLENGE_EXPIRED


async def test_a_challenge_given_to_another_address_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        challenge = await w.client(address="192.0.2.1").challenge()
        assert await refused(w.client(address="192.0.2.2").login(challenge=challenge)) is Problem.CHALLENGE_FORGED


async def test_a_challenge_serves_all_of_one_ipv6_household(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        challenge = await w.client(address="2001:db8:0:100::1").challenge()
        await w.client(address="2001:db8:0:1ff::2").login(challenge=challenge)


async def test_a_challenge_of_before_a_restart_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path, seed=10) as w:
        client = w.client()
        challenge = await client.challenge()
    async with world(tmp_path, seed=11) as w:
        client.transport = w.transport()
        assert await refused(client.login(challenge=challenge)) is Problem.CHALLENGE_FORGED


async def refused(attempt: Awaitable[object]) -> Problem | None:
    with pytest.raises(Refusal) as refusal:
        await attempt
    return refusal.value.problem
