"""The packet engine on the event loop: its events become inputs of the mesh, the mesh's outputs become its calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Protocol, TypeAlias

from shadowmesh._engine import (
    ControlDatagram,
    Counters,
    Engine,
    EngineError,
    EngineFailed,
    Event,
    PeerHandshake,
    PeerRoamed,
    UnroutedPacket,
)
from shadowmesh.identity.names import PeerID
from shadowmesh.mesh.outputs import ClosePorts, InstallPeer, OpenPorts, PathIsNarrow, RemovePeer, SetPath
from shadowmesh.node.backbone_link import Step
from shadowmesh.node.errors import NodeFailed, PrivilegeMissing
from shadowmesh.node.privileges import missing_tun_privilege
from shadowmesh.records.peer_record import Capability
from shadowmesh.session.events import CookiesDemanded
from shadowmesh.session.fragments import begins_handshake
from shadowmesh.session.macs import GateKeys
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.open_ids import CloseId, OpenId


class Feed(Protocol):
    def __call__(self, *steps: Step) -> None: ...


EngineOrder: TypeAlias = (
    InstallPeer | SetPath | PathIsNarrow | RemovePeer | OpenPorts | ClosePorts | OpenId | CloseId | CookiesDemanded
)
_log = logging.getLogger(__name__)


class EngineShell:
    def __init__(
        self,
        engine: Engine,
        feed: Feed,
        failed: Callable[[str], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """`failed` takes the reason when the engine ends by itself."""
        self._engine = engine
        self._feed = feed
        self._failed = failed
        self._loop = loop
        self.send_failures = 0  # as with a full socket buffer, what is lost is sent again by its machine
        loop.add_reader(engine.wake_fd, self._drain)

    def obey(self, order: EngineOrder) -> None:
        try:
            match order:
                case InstallPeer():
                    self._install(order)
                case SetPath(wireguard_key, path, via):
                    self._engine.set_path(wireguard_key, path.pair, via=via)
                case PathIsNarrow(wireguard_key):
                    self._engine.path_is_narrow(wireguard_key)
                case RemovePeer(wireguard_key):
                    self._engine.remove_peer(wireguard_key)
                case OpenPorts(peer, count):
                    self._open_ports(peer, count)
                case ClosePorts(ports):
                    self._engine.close_ports(ports)
                case OpenId() | CloseId() | CookiesDemanded():
                    self._tell_gate(order)
        except (EngineError, ValueError, KeyError) as error:
            _log.error("the packet engine refused %s: %s", type(order).__name__, error)

    def send(self, payloads: Sequence[bytes], destination: Endpoint, via: int) -> None:
        """Datagrams that belong together: they cost the kernel, and the peer, little more than one."""
        try:
            self._engine.send(payloads, destination.pair, via=via)
        except EngineError as error:
            self.send_failures += len(payloads)
            _log.debug("%d datagrams to %s were not sent: %s", len(payloads), destination, error)
        except ValueError as error:
            _log.error("the packet engine refused datagrams: %s", error)

    def counters(self) -> Counters:
        return self._engine.counters()

    def stop(self) -> None:
        """Idempotent."""
        self._loop.remove_reader(self._engine.wake_fd)
        self._engine.stop()

    def _tell_gate(self, order: OpenId | CloseId | CookiesDemanded) -> None:
        match order:
            case OpenId(id_):
                self._engine.open_id(id_)
            case CloseId(id_):
                self._engine.close_id(id_)
            case CookiesDemanded(demanded):
                self._engine.demand_cookies(demanded)

    def _open_ports(self, peer: PeerID | None, count: int) -> None:
        """The mesh waits for the answer, whatever comes of it."""
        ports: list[int] = []
        try:
            ports = self._engine.open_ports(count)
        finally:
            self._feed(lambda mesh, now: mesh.ports_opened(peer, ports, now))

    def _install(self, peer: InstallPeer) -> None:
        self._engine.add_peer(
            peer.wireguard_key,
            peer.psk,
            peer.path.pair,
            peer.allowed_ips,
            initiate=peer.initiate,
            cipher=peer.cipher.value,
            via=peer.via,
            follow=False,  # the mesh moves the path, when a probe has shown that it works both ways
        )

    def _drain(self) -> None:
        # What is left after one batch keeps the descriptor readable: the loop gets its turn in between.
        # What begins a handshake comes last: an answer to it takes longer than all that is under way.
        events = sorted(self._engine.drain(), key=_begins_handshake)
        steps = [self._translate(event) for event in events]
        self._feed(*filter(None, steps))

    def _translate(self, event: Event) -> Step | None:
        match event:
            case ControlDatagram():
                payload, source, via = event.payload, _endpoint(*event.source), event.via
                return lambda mesh, now: mesh.receive_datagram(payload, source, now, via)
            case UnroutedPacket():
                destination = ip_address(event.destination)
                return lambda mesh, now: mesh.packet_unrouted(destination, now)
            case PeerHandshake():
                key = event.public_key
                return lambda mesh, now: mesh.peer_handshake(key, now)
            case PeerRoamed():
                key, path = event.public_key, _endpoint(*event.source)
                return lambda mesh, now: mesh.peer_roamed(key, path, now)
            case EngineFailed():
                self._failed(event.reason)
                return None


def _begins_handshake(event: Event) -> bool:
    return isinstance(event, ControlDatagram) and begins_handshake(event.payload)


@lru_cache(maxsize=256)  # the datagrams of a message come from one place
def _endpoint(host: str, port: int) -> Endpoint:
    return Endpoint.of(host, port)


def engine_capabilities() -> Capability:
    """What this host's packet engine adds to the node's record."""
    return Capability.AES_256_GCM if Engine.has_aes else Capability(0)


def open_engine(private_key: bytes, gate_keys: GateKeys, port: int, tun: str | None, address: str) -> Engine:
    """`address`: of the TUN device, with its prefix length. Raises PrivilegeMissing, NodeFailed."""
    missing = missing_tun_privilege() if tun is not None else None
    if missing is not None:
        raise PrivilegeMissing(missing)
    try:
        addresses = [address] if tun is not None else []
        engine = Engine(private_key=private_key, port=port, tun=tun, addresses=addresses)
    except (EngineError, ValueError) as error:
        raise NodeFailed(
            f"the packet engine does not start: {error}", "choose another --port (0: any) or --tun name (or none)"
        ) from None
    engine.guard(mac1_key=gate_keys.mac1, cookie_key=gate_keys.cookie)
    return engine
