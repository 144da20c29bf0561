"""Whole nodes in this process, over a real backbone, real engines without a device, and real control sockets."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.identity.people import ALICE, BOB, CAROL
from tests.unit.node.backbone_server import RunningBackbone, running_backbone
from tests.unit.node.homes import home_with_identity, storage_in

from shadowmesh._engine import Engine
from shadowmesh.control import client, routes, schema
from shadowmesh.control.errors import ControlError, DaemonNotRunning, ErrorCode
from shadowmesh.control.home import Home
from shadowmesh.control.routes import Route
from shadowmesh.identity.keys import Identity
from shadowmesh.node.errors import HomeUnusable, NodeFailed
from shadowmesh.node.run import run
from shadowmesh.node.settings import Backbone, Settings


async def test_two_nodes_meet_through_the_backbone_and_part_again(tmp_path: Path) -> None:
    async with (
        running_backbone(tmp_path / "backbone") as backbone,
        _node(tmp_path / "a", ALICE, backbone) as a,
        _node(tmp_path / "b", BOB, backbone) as b,
    ):
        await a.online()
        await b.online()
        await a.finds(BOB)
        await b.finds(ALICE)
        await a.ask(routes.TRUST, schema.TrustRequest(fingerprint=str(BOB.fingerprint), name="bob"))
        await b.ask(routes.TRUST, schema.TrustRequest(fingerprint=str(ALICE.fingerprint), name="alice"))

        pong = await a.ask(routes.PING, schema.PingRequest(peer="bob"))
        assert pong.rtt_s is not None
        assert pong.peer_id == str(BOB.peer_id)

        (peer,) = (await a.ask(routes.STATUS, None)).peers
        assert (peer.name, peer.state) == ("bob", "connected")
        assert peer.path == pong.path
        assert peer.handshake_s is not None
        assert peer.cipher == ("aes256gcm" if Engine.has_aes else "chacha20poly1305")

        found = await a.ask(routes.LOOKUP, schema.PeerRequest(peer="bob"))
        assert found.found
        assert found.record is not None
        assert found.record.mode == "private"
        assert found.record.endpoints == []

        await a.ask(routes.UNTRUST, schema.PeerRequest(peer="bob"))
        assert (await a.ask(routes.STATUS, None)).peers == []
        with pytest.raises(ControlError) as caught:
            await a.ask(routes.PING, schema.PingRequest(peer=str(BOB.fingerprint)))
        assert caught.value.code is ErrorCode.NOT_TRUSTED
    assert [peer.name for peer in storage_in(tmp_path / "b").load().trusted] == ["alice"]
    assert [record.peer_id for record in storage_in(tmp_path / "b").load().records] == [ALICE.peer_id]


async def test_a_stranger_is_looked_up_at_the_backbone(tmp_path: Path) -> None:
    async with (
        running_backbone(tmp_path / "backbone") as backbone,
        _node(tmp_path / "a", ALICE, backbone) as a,
        _node(tmp_path / "b", BOB, backbone) as b,
    ):
        await a.online()
        await b.online()
        found = await a.finds(BOB)
        assert found.source in ("backbone", "cache")
        missing = await a.ask(routes.LOOKUP, schema.PeerRequest(peer=str(CAROL.peer_id)))
        assert not missing.found


async def test_without_a_backbone_the_node_runs_and_says_so(tmp_path: Path) -> None:
    async with _node(tmp_path / "a", ALICE) as a:
        status = await a.ask(routes.STATUS, None)
        assert status.link.state == "offline"
        assert status.link.reason
        assert status.engine.port > 0
        assert status.pid == os.getpid()
        assert status.identity.fingerprint == str(ALICE.fingerprint)


async def test_only_the_owner_can_open_the_control_socket(tmp_path: Path) -> None:
    async with _node(tmp_path / "a", ALICE) as a:
        assert a.home.control_socket.stat().st_mode & 0o777 == 0o600
        assert a.home.folder.stat().st_mode & 0o077 == 0
    assert not a.home.control_socket.exists()


async def test_a_socket_left_by_a_killed_node_is_replaced(tmp_path: Path) -> None:
    home = home_with_identity(tmp_path / "a", ALICE)
    home.control_socket.touch()
    async with _node(tmp_path / "a", ALICE) as a:
        await a.ask(routes.STATUS, None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_node_and_removes_its_socket(tmp_path: Path, number: signal.Signals) -> None:
    async with running_backbone(tmp_path / "backbone") as backbone, _node(tmp_path / "a", ALICE, backbone) as a:
        await a.online()
        os.kill(os.getpid(), number)
        async with asyncio.timeout(20):
            await a.running
        assert not a.home.control_socket.exists()
        with pytest.raises(DaemonNotRunning):
            await a.ask(routes.STATUS, None)


async def test_what_is_asked_of_an_unknown_peer_is_refused_with_a_code(tmp_path: Path) -> None:
    async with _node(tmp_path / "a", ALICE) as a:
        for route, request in (
            (routes.PING, schema.PingRequest(peer="nobody")),
            (routes.UNTRUST, schema.PeerRequest(peer="nobody")),
            (routes.LOOKUP, schema.PeerRequest(peer="nobody")),
        ):
            with pytest.raises(ControlError) as caught:
                await a.ask(route, request)
            assert caught.value.code is ErrorCode.PEER_UNKNOWN


async def test_trust_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    async with _node(tmp_path / "a", ALICE) as a:
        a.home.state.unlink()
        a.home.state.mkdir()
        with pytest.raises(ControlError, match="can't be written"):
            await a.ask(routes.TRUST, schema.TrustRequest(fingerprint=str(BOB.fingerprint)))


async def test_a_path_too_long_for_a_socket_is_one_clear_line(tmp_path: Path) -> None:
    home = home_with_identity(tmp_path / ("x" * 100), ALICE)
    with pytest.raises(HomeUnusable, match="longer than the 107 bytes"):
        await run(home, Settings(tun="none", port=0), ALICE, lambda _: None)


async def test_a_taken_port_leaves_no_socket_behind(tmp_path: Path) -> None:
    async with _node(tmp_path / "a", ALICE) as a:
        port = (await a.ask(routes.STATUS, None)).engine.port
        home = home_with_identity(tmp_path / "b", BOB)
        with pytest.raises(NodeFailed):
            await run(home, Settings(tun="none", port=port), BOB, lambda _: None)
        assert not home.control_socket.exists()


@dataclass
class _RunningNode:
    home: Home
    running: asyncio.Task[None]

    async def ask(self, route: Route[Any, Any], request: msgspec.Struct | None) -> Any:
        return await asyncio.to_thread(client.call, self.home, route, request, timeout_s=40)

    async def online(self) -> None:
        await _until(lambda: self.ask(routes.STATUS, None), lambda status: status.link.state == "online")

    async def finds(self, other: Identity) -> Any:
        request = schema.PeerRequest(peer=str(other.peer_id))
        return await _until(lambda: self.ask(routes.LOOKUP, request), lambda answer: answer.found)


@asynccontextmanager
async def _node(
    folder: Path, identity: Identity, backbone: RunningBackbone | None = None
) -> AsyncIterator[_RunningNode]:
    home, ready = home_with_identity(folder, identity), asyncio.Event()
    pins = [] if backbone is None else [Backbone(backbone.url, str(backbone.fingerprint))]
    settings = Settings(tun="none", port=0, backbone=pins)
    node = _RunningNode(home, asyncio.create_task(run(home, settings, identity, lambda _: ready.set())))
    async with asyncio.timeout(20):
        await asyncio.wait([node.running, asyncio.create_task(ready.wait())], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield node
    finally:
        if not node.running.done():
            await node.ask(routes.STOP, None)
        await node.running


async def _until(ask: Any, satisfied: Any) -> Any:
    """Polls, as a person would: the control API tells nobody by itself."""
    async with asyncio.timeout(20):
        while not satisfied(answer := await ask()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return answer
