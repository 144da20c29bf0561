from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from tests.unit.identity.people import ALICE, BOB
from tests.unit.node.backbone_server import running_backbone
from tests.unit.node.homes import record_of, storage_in

from shadowmesh.backbone_protocol.updates import Subscribe, Update
from shadowmesh.identity.names import Fingerprint
from shadowmesh.mesh.machine import Mesh
from shadowmesh.mesh.outputs import (
    FetchDirectory,
    LeaveBackbone,
    LogIn,
    LookUp,
    OpenUpdates,
    PublishRecord,
    Renew,
    SendUpdate,
)
from shadowmesh.node import backbone_link
from shadowmesh.node.backbone_client import BackboneClient
from shadowmesh.node.backbone_http import BackboneHttp
from shadowmesh.node.backbone_link import BackboneLink, Step
from shadowmesh.records.peer_record import Mode


async def test_each_request_is_answered_by_its_input(tmp_path: Path) -> None:
    async with running_backbone(tmp_path / "backbone") as backbone, _link(tmp_path) as (link, inputs):
        link.obey(LogIn(backbone.url, backbone.fingerprint))
        assert await inputs.next() == "logged_in"
        link.obey(Renew())
        assert await inputs.next() == "renewed"
        link.obey(FetchDirectory())
        assert await inputs.next() == "directory_received"
        link.obey(PublishRecord(record_of(ALICE, issued_at=int(time.time()))))
        assert await inputs.next() == "published"
        link.obey(LookUp(ALICE.peer_id, None))
        assert await inputs.next() == "peer_found"
        link.obey(LookUp(BOB.peer_id, None))
        assert await inputs.next() == "peer_not_found"
        link.obey(OpenUpdates())
        assert await inputs.next() == "updates_opened"
        link.obey(SendUpdate(Subscribe([ALICE.peer_id.raw])))
        assert await inputs.next() == "update_received"
        assert isinstance(inputs.arguments[0], Update)
        await backbone.stop()
        assert await inputs.next() == "updates_closed"


async def test_without_a_log_in_every_request_fails(tmp_path: Path) -> None:
    async with _link(tmp_path) as (link, inputs):
        link.obey(Renew())
        assert await inputs.next() == "backbone_failed"
        link.obey(LookUp(BOB.peer_id, None))
        assert await inputs.next() == "look_up_failed"
        link.obey(OpenUpdates())
        assert await inputs.next() == "updates_closed"
        link.obey(SendUpdate(Subscribe([])))


async def test_a_refused_log_in_is_told(tmp_path: Path) -> None:
    async with running_backbone(tmp_path / "backbone") as backbone, _link(tmp_path) as (link, inputs):
        link.obey(LogIn(backbone.url, BOB.fingerprint))
        assert await inputs.next() == "backbone_failed"
        assert "pinned" in str(inputs.arguments[1])


async def test_what_is_on_its_way_when_the_backbone_is_left_is_dropped(tmp_path: Path) -> None:
    async with running_backbone(tmp_path / "backbone") as backbone, _link(tmp_path) as (link, inputs):
        link.obey(LogIn(backbone.url, backbone.fingerprint))
        assert await inputs.next() == "logged_in"
        link.obey(OpenUpdates())
        assert await inputs.next() == "updates_opened"
        link.obey(LookUp(BOB.peer_id, None))
        link.obey(LeaveBackbone())
        link.obey(LeaveBackbone())
        link.obey(Renew())
        assert await inputs.next() == "backbone_failed"
        assert inputs.empty()


async def test_too_many_look_ups_at_a_time_fail_at_once(tmp_path: Path) -> None:
    async with running_backbone(tmp_path / "backbone") as backbone, _link(tmp_path) as (link, inputs):
        link.obey(LogIn(backbone.url, backbone.fingerprint))
        assert await inputs.next() == "logged_in"
        for _ in range(backbone_link.MAX_REQUESTS + 1):
            link.obey(LookUp(BOB.peer_id, None))
        names = [await inputs.next() for _ in range(backbone_link.MAX_REQUESTS + 1)]
        assert names.count("look_up_failed") == 1
        assert names.count("peer_not_found") == backbone_link.MAX_REQUESTS


class _Inputs:
    """Stands where the mesh stands, and remembers which of its inputs were called."""

    def __init__(self) -> None:
        self._calls: asyncio.Queue[tuple[str, tuple[Any, ...]]] = asyncio.Queue()
        self.arguments: tuple[Any, ...] = ()

    def feed(self, step: Step) -> None:
        step(cast("Mesh", self), 0.0)

    async def next(self) -> str:
        name, self.arguments = await asyncio.wait_for(self._calls.get(), 10)
        return name

    def empty(self) -> bool:
        return self._calls.empty()

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: self._calls.put_nowait((name, arguments))


@asynccontextmanager
async def _link(folder: Path) -> AsyncIterator[tuple[BackboneLink, _Inputs]]:
    inputs = _Inputs()

    def make_client(url: str, fingerprint: Fingerprint) -> BackboneClient:
        return BackboneClient(
            BackboneHttp(url, ""),
            fingerprint,
            ALICE,
            storage_in(folder / "home"),
            mode=Mode.PRIVATE,
            region=0,
            entropy=os.urandom,
            wall_clock=time.time,
        )

    async with asyncio.TaskGroup() as tasks:
        link = BackboneLink(make_client, inputs.feed, tasks)
        try:
            yield link, inputs
        finally:
            link.leave()
