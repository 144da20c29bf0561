"""Proofs of possession, over the API."""

from pathlib import Path

import pytest
from tests.unit.backbone.client import Client, Refusal, record_of
from tests.unit.backbone.world import world

from shadowmesh.backbone.auth.proofs import ProofChecker
from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.proof import PROOF_HEADER, Proof

RENEW = "/v1/auth/renew"


async def test_a_request_without_a_proof_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        assert await renewal_problem(client, {}) is Problem.PROOF_MISSING


@pytest.mark.parametrize("header", ["", "1,2", "1,2,3", "a,b,c", "1,2," + "A" * 43, "9" * 200])
async def test_a_proof_that_proves_nothing_is_refused(tmp_path: Path, header: str) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        assert await renewal_problem(client, {PROOF_HEADER: header}) is Problem.PROOF_INVALID


async def test_a_proof_for_another_request_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        for method, path, body in (("GET", RENEW, b""), ("POST", RENEW + "?x", b""), ("POST", RENEW, b"x")):
            assert await renewal_problem(client, client.proof(method, path, body)) is Problem.PROOF_INVALID


async def test_a_stolen_token_without_its_key_renews_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        owner, thief = await w.logged_in(), await w.logged_in()
        thief.token = owner.token
        assert await renewal_problem(thief, thief.proof("POST", RENEW, b"")) is Problem.PROOF_INVALID


async def test_a_proof_is_good_once(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        proof = client.proof("POST", RENEW, b"")
        assert await renewal_problem(client, proof) is None
        assert await renewal_problem(client, proof) is Problem.PROOF_REPLAYED


async def test_the_counter_goes_on_rising_after_a_renewal(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        await client.renew()
        client.counter = 0
        assert await renewal_problem(client, client.proof("POST", RENEW, b"")) is Problem.PROOF_REPLAYED


async def test_a_publish_repeated_across_a_restart_changes_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        record = record_of(client.identity, issued_at=w.now)
        await client.publish(record)
    async with world(tmp_path) as w:
        client.transport, client.counter = w.transport(), 0
        with pytest.raises(Refusal) as refusal:
            await client.publish(record)
        assert refusal.value.problem is Problem.RECORD_STALE


def test_a_full_table_forgets_the_key_used_longest_ago() -> None:
    checker = ProofChecker(most=1)
    keys = [bytes([number]) * 32 for number in range(2)]
    headers = [Proof.make(key, "POST", "/", b"", issued_at=0, counter=1).header() for key in keys]
    checker.check(headers[0], keys[0], "POST", "/", b"")
    with pytest.raises(Refused):
        checker.check(headers[0], keys[0], "POST", "/", b"")
    checker.check(headers[1], keys[1], "POST", "/", b"")
    checker.check(headers[0], keys[0], "POST", "/", b"")


async def renewal_problem(client: Client, headers: dict[str, str]) -> Problem | None:
    answer = await client.transport.request("POST", RENEW, {**client.bearer, **headers}, b"")
    return answer.problem
