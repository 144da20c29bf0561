import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.unit.identity.people import ALICE, BOB
from tests.unit.node.backbone_server import RunningBackbone, running_backbone
from tests.unit.node.homes import record_of, storage_in

from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.updates import Subscribe, Update
from shadowmesh.identity.keys import Identity
from shadowmesh.identity.names import Fingerprint
from shadowmesh.node.backbone_client import BackboneClient
from shadowmesh.node.backbone_http import BackboneHttp, BackboneRefused
from shadowmesh.node.updates_socket import UpdatesClosed
from shadowmesh.records.directory import SignedDirectory
from shadowmesh.records.peer_record import Mode


async def test_a_first_log_in_gets_a_token_for_a_day(tmp_path: Path) -> None:
    async with running_backbone(tmp_path / "backbone") as backbone, _client(backbone, tmp_path) as alice:
        session = await alice.log_in()
        assert session.token_expires_at == pytest.approx(time.time() + 86400, abs=10)
        assert session.directory_version >= 1


async def test_a_published_record_is_found_and_then_known(tmp_path: Path) -> None:
    async with (
        running_backbone(tmp_path / "backbone") as backbone,
        _client(backbone, tmp_path) as alice,
        _client(backbone, tmp_path, BOB) as bob,
    ):
        await alice.log_in()
        await bob.log_in()
        record = record_of(ALICE, issued_at=int(time.time()))
        await alice.publish(record)
        found = await bob.look_up(ALICE.peer_id, None)
        assert found is not None
        assert found.record is not None
        assert found.record.encoded == record.encoded
        known = await bob.look_up(ALICE.peer_id, record.record_id[:8])
        assert known is not None
        assert known.record is None
        assert known.record_id == record.record_id
        assert await bob.look_up(BOB.peer_id, None) is None


async def test_a_record_that_is_refused_says_why(tmp_path: Path) -> None:
    async with running_backbone(tmp_path / "backbone") as backbone, _client(backbone, tmp_path) as alice:
        await alice.log_in()
        with pytest.raises(BackboneRefused) as caught:
            await alice.publish(record_of(BOB, issued_at=int(time.time())))
        assert caught.value.problem is Problem.RECORD_FOR_ANOTHER_PEER


async def test_proofs_made_at_the_same_time_arrive_in_order(tmp_path: Path) -> None:
    async with running_backbone(tmp_path / "backbone") as backbone, _client(backbone, tmp_path) as alice:
        await alice.log_in()
        sessions = await asyncio.gather(*(alice.renew() for _ in range(5)))
        assert len(sessions) == 5


async def test_a_renewal_needs_a_log_in(tmp_path: Path) -> None:
    async with running_backbone(tmp_path / "backbone") as backbone, _client(backbone, tmp_path) as alice:
        with pytest.raises(BackboneRefused) as caught:
            await alice.renew()
        assert caught.value.problem is Problem.TOKEN_MISSING


async def test_a_second_log_in_uses_the_challenge_of_the_first_reply(tmp_path: Path) -> None:
    async with running_backbone(tmp_path / "backbone") as backbone, _client(backbone, tmp_path) as alice:
        await alice.log_in()
        await alice.publish(record_of(ALICE, issued_at=int(time.time())))
        before = alice.http.requests
        await alice.log_in()
        assert alice.http.requests == [*before, "POST /v1/auth/login"]


async def test_a_challenge_that_is_too_old_is_replaced(tmp_path: Path) -> None:
    async with running_backbone(tmp_path / "backbone") as backbone, _client(backbone, tmp_path) as alice:
        await alice.log_in()
        backbone.pass_time(3600)
        await alice.log_in()


async def test_the_public_key_is_sent_when_the_server_lost_it(tmp_path: Path) -> None:
    async with running_backbone(tmp_path / "backbone") as backbone, _client(backbone, tmp_path) as alice:
        await alice.log_in()
        await alice.log_in()  # nothing was published, so the server holds no key


async def test_the_servers_key_is_fetched_once_for_all_runs(tmp_path: Path) -> None:
    async with running_backbone(tmp_path / "backbone") as backbone:
        async with _client(backbone, tmp_path) as first:
            await first.log_in()
            assert "GET /v1/directory" in first.http.requests
        async with _client(backbone, tmp_path) as second:
            await second.log_in()
            assert "GET /v1/directory" not in second.http.requests


async def test_a_server_without_the_pinned_key_is_refused(tmp_path: Path) -> None:
    async with running_backbone(tmp_path / "backbone") as backbone:
        async with _client(backbone, tmp_path, pin=BOB.fingerprint) as alice:
            with pytest.raises(BackboneRefused, match="does not name the pinned key"):
                await alice.log_in()
        storage_in(tmp_path / "home").save_backbone_key(BOB.public)
        async with _client(backbone, tmp_path, pin=BOB.fingerprint) as alice:
            with pytest.raises(BackboneRefused, match="another server") as caught:
                await alice.log_in()
            assert caught.value.problem is None


async def test_an_expired_token_is_named_as_such(tmp_path: Path) -> None:
    async with running_backbone(tmp_path / "backbone") as backbone, _client(backbone, tmp_path) as alice:
        await alice.log_in()
        backbone.pass_time(86401)
        with pytest.raises(BackboneRefused) as caught:
            await alice.look_up(BOB.peer_id, None)
        assert caught.value.problem is Problem.TOKEN_EXPIRED


async def test_the_directory_is_the_servers(tmp_path: Path) -> None:
    async with running_backbone(tmp_path / "backbone") as backbone, _client(backbone, tmp_path) as alice:
        directory = SignedDirectory.decode(await alice.directory())
        directory.accept([backbone.fingerprint], now=time.time())


async def test_updates_tell_of_a_new_record(tmp_path: Path) -> None:
    async with (
        running_backbone(tmp_path / "backbone") as backbone,
        _client(backbone, tmp_path) as alice,
        _client(backbone, tmp_path, BOB) as bob,
    ):
        await alice.log_in()
        await bob.log_in()
        socket = await bob.open_updates()
        socket.send(Subscribe([ALICE.peer_id.raw]))
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(socket.write())
            record = record_of(ALICE, issued_at=int(time.time()))
            await alice.publish(record)
            update = await asyncio.wait_for(socket.receive(), 10)
            writing.cancel()
        assert isinstance(update, Update)
        assert update.record_id == record.record_id
        await backbone.stop()
        with pytest.raises(UpdatesClosed):
            await asyncio.wait_for(socket.receive(), 10)
        await socket.close()


async def test_updates_need_a_token_that_is_good(tmp_path: Path) -> None:
    async with running_backbone(tmp_path / "backbone") as backbone, _client(backbone, tmp_path) as alice:
        await alice.log_in()
        backbone.pass_time(2 * 86400)
        with pytest.raises(BackboneRefused, match="401"):
            await alice.open_updates()


class _CountingHttp(BackboneHttp):
    """Remembers what was asked."""

    def __init__(self, url: str) -> None:
        super().__init__(url, "")
        self.requests: list[str] = []

    async def request(self, method, path, **options):  # type: ignore[no-untyped-def]
        self.requests = [*self.requests, f"{method} {path}"]
        return await super().request(method, path, **options)


class _Client(BackboneClient):
    http: _CountingHttp


@asynccontextmanager
async def _client(
    backbone: RunningBackbone, folder: Path, identity: Identity = ALICE, *, pin: Fingerprint | None = None
) -> AsyncIterator[_Client]:
    http = _CountingHttp(backbone.url)
    client = _Client(
        http,
        pin or backbone.fingerprint,
        identity,
        storage_in(folder / "home"),
        mode=Mode.PRIVATE,
        region=0,
        entropy=os.urandom,
        wall_clock=time.time,
    )
    client.http = http
    try:
        yield client
    finally:
        await client.close()
