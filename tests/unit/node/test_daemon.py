"""How the daemon treats what comes out of the mesh. Whole nodes are in test_run.py."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.unit.identity.people import ALICE, BOB
from tests.unit.node.homes import storage_in

from shadowmesh._engine import Engine
from shadowmesh.identity.names import Fingerprint
from shadowmesh.mesh.errors import NotTrusted
from shadowmesh.mesh.machine import Mesh
from shadowmesh.mesh.state import MeshConfig, TrustedPeer
from shadowmesh.node.backbone_client import BackboneClient
from shadowmesh.node.backbone_http import BackboneRefused
from shadowmesh.node.daemon import Daemon
from shadowmesh.node.errors import HomeUnusable, NodeFailed

TRUST_BOB = TrustedPeer(BOB.fingerprint, "bob")


async def test_what_a_command_changed_is_on_the_disk_when_it_returns(tmp_path: Path) -> None:
    async with _daemon(tmp_path) as daemon:
        daemon.command(lambda mesh, now: mesh.trust(TRUST_BOB, now))
        assert storage_in(tmp_path).load().trusted == (TRUST_BOB,)
        daemon.command(lambda mesh, now: mesh.untrust(BOB.fingerprint, now))
        assert storage_in(tmp_path).load().trusted == ()


async def test_a_command_raises_what_the_mesh_refuses(tmp_path: Path) -> None:
    async with _daemon(tmp_path) as daemon:
        with pytest.raises(NotTrusted):
            daemon.command(lambda mesh, now: mesh.connect(BOB.peer_id, now))


async def test_a_disk_that_refuses_fails_the_command_but_not_the_node(tmp_path: Path) -> None:
    async with _daemon(tmp_path) as daemon:
        (tmp_path / "state.json").unlink()
        (tmp_path / "state.json").mkdir()
        with pytest.raises(HomeUnusable):
            daemon.command(lambda mesh, now: mesh.trust(TRUST_BOB, now))
        (tmp_path / "state.json").rmdir()
        daemon.command(lambda mesh, now: mesh.untrust(BOB.fingerprint, now))
        assert storage_in(tmp_path).load().trusted == ()


async def test_an_input_that_finds_a_bug_is_logged_and_the_node_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with _daemon(tmp_path) as daemon:
        daemon.feed(_bug)
        assert "ZeroDivisionError" in caplog.text
        daemon.command(lambda mesh, now: mesh.trust(TRUST_BOB, now))


async def test_after_the_stop_nothing_reaches_the_mesh(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with _daemon(tmp_path) as daemon:
        daemon.stop()
        daemon.stop()
        daemon.feed(_bug)
        with pytest.raises(NodeFailed, match="is stopping"):
            daemon.command(lambda mesh, now: mesh.trust(TRUST_BOB, now))
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def _bug(mesh: Mesh, now: float) -> None:
    raise ZeroDivisionError


@asynccontextmanager
async def _daemon(folder: Path) -> AsyncIterator[Daemon]:
    def no_client(url: str, fingerprint: Fingerprint) -> BackboneClient:
        raise BackboneRefused(None, "no backbone here")

    now = asyncio.get_running_loop().time()
    storage = storage_in(folder)
    mesh = Mesh(ALICE, MeshConfig(), storage.load(), entropy=os.urandom, wall_clock=time.time, now=now)
    engine = Engine(private_key=mesh.wireguard_private_key, port=0)
    try:
        async with asyncio.TaskGroup() as tasks:
            daemon = Daemon(mesh, engine, storage, no_client, tasks, lambda _: None)
            yield daemon
            daemon.stop()
    finally:
        engine.stop()
