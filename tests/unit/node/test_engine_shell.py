from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Any, cast

import pytest

from shadowmesh._engine import Engine
from shadowmesh.mesh.machine import Mesh
from shadowmesh.mesh.outputs import InstallPeer, OpenPorts, RemovePeer, SetPath
from shadowmesh.node.backbone_link import Step
from shadowmesh.node.engine_shell import EngineShell, open_engine
from shadowmesh.node.errors import NodeFailed
from shadowmesh.session.cipher import Cipher
from shadowmesh.session.cookie_reply import CookieReply
from shadowmesh.session.events import CookiesDemanded
from shadowmesh.session.fragments import cut
from shadowmesh.session.macs import GateKeys, MacWriter, macs_of
from shadowmesh.session.messages import M1_BYTES
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import CloseId, OpenId

GATE_KEYS = GateKeys(os.urandom(32), os.urandom(32))
AES = Cipher.AES_256_GCM
AFTER_AN_INITIATION_S = 0.03  # a peer takes none within 20 ms, and that one is repeated after 5 s only
A_ADDRESS, B_ADDRESS = IPv6Address("fd00::a"), IPv6Address("fd00::b")


async def test_a_datagram_of_one_engine_becomes_an_input_of_the_others_mesh() -> None:
    with _Side() as a, _Side() as b:
        a.shell.send([b"\x44probe"], b.endpoint, 0)
        name, arguments = await b.next()
        assert (name, arguments[:2]) == ("receive_datagram", (b"\x44probe", a.endpoint))


async def test_installed_peers_shake_hands_and_both_meshes_are_told() -> None:
    psk = os.urandom(32)
    with _Side() as a, _Side() as b:
        b.shell.obey(InstallPeer(a.key, psk, a.endpoint, (f"{A_ADDRESS}/128",), initiate=False, cipher=AES))
        a.shell.obey(InstallPeer(b.key, psk, b.endpoint, (f"{B_ADDRESS}/128",), initiate=True, cipher=AES))
        assert await a.next() == ("peer_handshake", (b.key,))
        assert await b.next() == ("peer_handshake", (a.key,))
        assert [peer.public_key for peer in a.shell.counters().peers] == [b.key]
        a.shell.obey(SetPath(b.key, Endpoint.of("192.0.2.1", 9)))
        assert a.shell.counters().peers[0].path == ("192.0.2.1", 9)
        a.shell.obey(RemovePeer(b.key))
        assert a.shell.counters().peers == []


async def test_a_psk_that_the_responder_changes_first_takes_over_with_the_initiators_handshake() -> None:
    before, after = os.urandom(32), os.urandom(32)
    with _Side() as a, _Side() as b:
        b.shell.obey(InstallPeer(a.key, before, a.endpoint, (f"{A_ADDRESS}/128",), initiate=False, cipher=AES))
        a.shell.obey(InstallPeer(b.key, before, b.endpoint, (f"{B_ADDRESS}/128",), initiate=True, cipher=AES))
        assert await a.next() == ("peer_handshake", (b.key,))
        assert await b.next() == ("peer_handshake", (a.key,))
        await asyncio.sleep(AFTER_AN_INITIATION_S)
        b.shell.obey(InstallPeer(a.key, after, a.endpoint, (f"{A_ADDRESS}/128",), initiate=False, cipher=AES))
        a.shell.obey(InstallPeer(b.key, after, b.endpoint, (f"{B_ADDRESS}/128",), initiate=True, cipher=AES))
        assert await a.next() == ("peer_handshake", (b.key,))
        assert await b.next() == ("peer_handshake", (a.key,))


async def test_an_order_that_the_engine_refuses_is_logged_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    with _Side() as a:
        a.shell.obey(SetPath(bytes(32), a.endpoint))
        a.shell.obey(InstallPeer(bytes(32), bytes(32), a.endpoint, ("nonsense",), initiate=False, cipher=AES))
        a.shell.send([bytes(2000)], a.endpoint, 0)
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 3


async def test_only_what_the_mesh_expects_comes_through_the_gate() -> None:
    expected, other = b"\x44\1\0\0expected", b"\x44\1\0\0another!"
    with _Side(GATE_KEYS) as a, _Side() as b:
        a.shell.obey(OpenId(b"expected"))
        b.shell.send([other, expected], a.endpoint, 0)
        assert (await a.next())[1][0] == expected
        a.shell.obey(CloseId(b"expected"))
        a.shell.obey(OpenId(b"another!"))
        b.shell.send([expected, other], a.endpoint, 0)
        assert (await a.next())[1][0] == other
        assert a.shell.counters().drops["control_unknown_id"] == 2


async def test_a_handshake_begins_with_a_mac1_and_with_a_cookie_where_the_mesh_demands_it() -> None:
    genuine = cut(1, b"cidcidci", bytes(M1_BYTES), MacWriter(GATE_KEYS.mac1)).datagrams
    forged = cut(1, b"cidcidci", bytes(M1_BYTES), MacWriter(os.urandom(32))).datagrams
    with _Side(GATE_KEYS) as a, _Side() as b:
        b.shell.send([*forged, *genuine], a.endpoint, 0)
        assert [(await a.next())[1][0] for _ in genuine] == list(genuine)
        a.shell.obey(CookiesDemanded(True))
        b.shell.send(genuine, a.endpoint, 0)
        reply = CookieReply.decode((await b.next())[1][0])
        cookie = reply.open(GATE_KEYS, macs_of(genuine[0]))
        shown = cut(1, b"cidcidci", bytes(M1_BYTES), MacWriter(GATE_KEYS.mac1, cookie)).datagrams
        b.shell.send(shown, a.endpoint, 0)
        assert [(await a.next())[1][0] for _ in shown] == list(shown)
        assert {a.shell.counters().drops[f"control_{reason}"] for reason in ("mac", "cookie")} == {2}


async def test_what_goes_on_with_a_handshake_is_taken_before_what_begins_one() -> None:
    begin, other = cut(1, b"cidcidci", bytes(M1_BYTES), MacWriter(GATE_KEYS.mac1)).datagrams, b"\x44\1\0\0expected"
    with _Side(GATE_KEYS) as a, _Side() as b:
        a.shell.obey(OpenId(b"expected"))
        b.shell.send([*begin, other], a.endpoint, 0)
        a.wait_for_control(len(begin) + 1)
        assert [(await a.next())[1][0] for _ in range(len(begin) + 1)] == [other, *begin]


async def test_the_mesh_is_answered_when_no_port_can_be_opened(caplog: pytest.LogCaptureFixture) -> None:
    with _Side() as a:
        a.engine.stop()
        a.shell.obey(OpenPorts(None, 2))
        assert await a.next() == ("ports_opened", (None, []))
    assert "refused OpenPorts" in caplog.text


async def test_stopping_twice_is_no_error() -> None:
    with _Side() as a:
        a.shell.stop()


async def test_a_taken_port_is_one_clear_line() -> None:
    with _Side() as a, pytest.raises(NodeFailed, match="--port"):
        open_engine(os.urandom(32), GATE_KEYS, a.engine.port, None, "")


class _Side:
    """An engine, and in place of its mesh a queue of the inputs that it gets."""

    def __init__(self, gate_keys: GateKeys | None = None) -> None:
        self._calls: asyncio.Queue[tuple[str, tuple[Any, ...]]] = asyncio.Queue()
        self.engine = Engine(private_key=os.urandom(32), port=0)
        if gate_keys is not None:
            self.engine.guard(mac1_key=gate_keys.mac1, cookie_key=gate_keys.cookie)
        self.key = self.engine.public_key
        self.endpoint = Endpoint.of("127.0.0.1", self.engine.port)
        self.shell = EngineShell(self.engine, self._feed, lambda _: None, asyncio.get_running_loop())

    def _feed(self, *steps: Step) -> None:
        for step in steps:
            step(cast("Mesh", self), 0.0)

    def wait_for_control(self, datagrams: int) -> None:
        """Until so many have come, without taking any."""
        end = time.monotonic() + 10
        while self.shell.counters().control_received < datagrams:
            assert time.monotonic() < end
            time.sleep(0.001)

    async def next(self) -> tuple[str, tuple[Any, ...]]:
        name, arguments = await asyncio.wait_for(self._calls.get(), 10)
        return name, arguments[:-1]

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: self._calls.put_nowait((name, arguments))

    def __enter__(self) -> _Side:
        return self

    def __exit__(self, *_: object) -> None:
        self.shell.stop()
