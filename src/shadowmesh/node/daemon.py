"""Feeds the mesh, obeys what comes out, and arms its one timer. The three steps of every entry."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from itertools import groupby

from shadowmesh._engine import Engine
from shadowmesh.identity.names import PeerID
from shadowmesh.mesh.machine import Mesh
from shadowmesh.mesh.outputs import (
    ConnectFailed,
    LookedUp,
    NetworkChecked,
    Notice,
    Output,
    PeerConnected,
    PeerDisconnected,
    Ponged,
    SaveRecord,
    SaveState,
)
from shadowmesh.mesh.state import LinkState
from shadowmesh.node.backbone_link import BackboneLink, BackboneRequest, ClientFactory, Step
from shadowmesh.node.engine_shell import EngineOrder, EngineShell
from shadowmesh.node.errors import HomeUnusable, NodeFailed
from shadowmesh.node.storage import Storage
from shadowmesh.node.timer import Timer
from shadowmesh.node.waiting import Waiting
from shadowmesh.paths.lan.discovery import Announce
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.transmit import Transmit

_log = logging.getLogger(__name__)


class Daemon:
    """One running node. Its control commands are `commands.Commands`."""

    def __init__(
        self,
        mesh: Mesh,
        engine: Engine,
        storage: Storage,
        make_client: ClientFactory,
        tasks: asyncio.TaskGroup,
        failed: Callable[[str], None],
        announce: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        """`failed` takes the reason when the node can't go on; `announce` sends to the LAN."""
        self._loop = asyncio.get_running_loop()
        self.mesh = mesh
        self.storage = storage
        self.engine = EngineShell(engine, self.feed, failed, self._loop)
        self.backbone = BackboneLink(make_client, self.feed, tasks)
        self._announce = announce
        self.pongs: Waiting[tuple[PeerID, int], Ponged] = Waiting()
        self.connections: Waiting[PeerID, PeerConnected | ConnectFailed] = Waiting()
        self.look_ups: Waiting[PeerID, LookedUp] = Waiting()
        self.network_checks: Waiting[None, NetworkChecked] = Waiting()
        self._timer = Timer(self._loop, self._due)
        self._link_state = LinkState.OFFLINE
        self.link_changed_at = self._loop.time()
        self._unsaved: HomeUnusable | None = None
        self._stopped = False
        self._handled = asyncio.Event()
        self._advance()

    def now(self) -> float:
        return self._loop.time()

    def command(self, step: Step) -> None:
        """Raises what the mesh refuses, MeshError, and HomeUnusable when the outcome is not on the disk."""
        if self._stopped:
            raise NodeFailed("the node is stopping", "start it again with `shadowmesh up`")
        self._unsaved = None
        try:
            step(self.mesh, self.now())
        finally:
            self._advance()
        if self._unsaved is not None:
            raise self._unsaved

    def feed(self, *steps: Step) -> None:
        """For what comes from outside: a bug that a datagram or an answer finds is logged, and the node goes on."""
        for step in steps:
            if self._stopped:
                return
            try:
                step(self.mesh, self.now())
            except Exception:
                _log.exception("internal error: an input was not handled")
            self._obey_all()
        self._settle()

    async def input_handled(self) -> None:
        """Returns after the next input of the mesh, whatever it is."""
        self._handled.clear()
        await self._handled.wait()

    def stop(self) -> None:
        """Removes peers, saves, leaves the backbone and stops the engine: milliseconds. Idempotent."""
        self.feed(lambda mesh, now: mesh.stop(now))
        self._stopped = True
        self._timer.cancel()
        self.backbone.leave()
        self.engine.stop()

    def _due(self) -> None:
        self.feed(lambda mesh, now: mesh.handle_timeout(now))

    def _advance(self) -> None:
        self._obey_all()
        self._settle()

    def _obey_all(self) -> None:
        for way, outputs in groupby(self._outputs(), key=_way):
            if way is None:
                for output in outputs:
                    self._obey(output)
            else:
                self.engine.send([output.payload for output in outputs if isinstance(output, Transmit)], *way)

    def _outputs(self) -> Iterator[Output]:
        while (output := self.mesh.poll()) is not None:
            yield output

    def _settle(self) -> None:
        state = self.mesh.link_state
        if state is not self._link_state:
            self._link_state, self.link_changed_at = state, self.now()
        self._timer.arm(self.mesh.next_timeout())
        self._handled.set()

    def _obey(self, output: Output) -> None:
        if isinstance(output, EngineOrder):
            self.engine.obey(output)
        elif isinstance(output, BackboneRequest):
            self.backbone.obey(output)
        elif isinstance(output, Announce):
            self._announce(output.payload)
        else:
            self._save_or_tell(output)

    def _save_or_tell(self, output: Output) -> None:
        match output:
            case SaveState():
                # On the loop's own thread, so that no later output is obeyed before it is durable.
                self._save(lambda: self.storage.save(self.mesh.saved_state()))
            case SaveRecord(record):
                self._save(lambda: self.storage.save_record(record))
            case PeerConnected(peer, path, handshake_s):
                _log.info(
                    "%s: connected by %s, post-quantum handshake in %.0f ms", self._name(peer), path, handshake_s * 1000
                )
                self.connections.give(peer, output)
            case PeerDisconnected(peer, reason):
                _log.info("%s: disconnected: %s", self._name(peer), reason)
            case ConnectFailed(peer, reason):
                _log.info("%s: can't connect: %s", self._name(peer), reason)
                self.connections.give(peer, output)
            case Ponged(peer, _, sequence):
                self.pongs.give((peer, sequence), output)
            case LookedUp(peer):
                self.look_ups.give(peer, output)
            case NetworkChecked():
                self.network_checks.give(None, output)
            case Notice(level, text):
                _log.log(level, "%s", text)

    def _name(self, peer: PeerID) -> str:
        trusted = (entry for entry in self.mesh.trusted() if entry.fingerprint.peer_id == peer)
        return next((entry.name for entry in trusted if entry.name), str(peer))

    def _save(self, write: Callable[[], None]) -> None:
        """A full disk must not keep a peer installed that was just untrusted: the node goes on, and says so."""
        try:
            write()
        except HomeUnusable as error:
            self._unsaved = error
            _log.error("%s", error)


def _way(output: Output) -> tuple[Endpoint, int] | None:
    """What goes the same way is sent together."""
    return (output.destination, output.via or 0) if isinstance(output, Transmit) else None
