"""Sockets, timer and UPnP calls of one `PortMapper`."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from shadowmesh.node.closed_on_failure import closed_on_failure
from shadowmesh.node.default_gateways import ReachedGateway
from shadowmesh.node.timer import Timer
from shadowmesh.paths.port_mapping import pcp
from shadowmesh.paths.port_mapping.outside import Address
from shadowmesh.paths.port_mapping.port_mapper import PortMapper
from shadowmesh.paths.port_mapping.status import MappingChanged, MappingStatus
from shadowmesh.paths.port_mapping.upnp import UpnpRequest
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.transmit import Transmit

if TYPE_CHECKING:
    from shadowmesh.node.upnp_igd import InternetGateway

_ALL_HOSTS = IPv4Address("224.0.0.1")
_ALL_NODES = IPv6Address("ff02::1")
_log = logging.getLogger(__name__)


class GatewayMapper:
    def __init__(
        self, reached: ReachedGateway, machine: PortMapper, on_change: Callable[[MappingStatus], None]
    ) -> None:
        self._reached = reached
        self._machine = machine
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._timer = Timer(self._loop, self._due)
        self._server = Endpoint(reached.gateway.address, pcp.SERVER_PORT)
        self._socket: socket.socket | None = None
        self._announcements: socket.socket | None = None
        self._internet_gateway: InternetGateway | None = None
        self._upnp: asyncio.Task[None] | None = None
        self.over = asyncio.Event()

    @property
    def status(self) -> MappingStatus:
        return self._machine.status

    def start(self) -> None:
        self._socket = self._open(_request_socket, self._receive)
        self._announcements = self._open(_announcement_socket, self._receive_announcement)
        self._machine.start(self._loop.time())
        self._advance()

    def check(self) -> None:
        self._machine.check(self._loop.time())
        self._advance()

    def set_reflexive(self, addresses: Sequence[Address]) -> None:
        self._machine.set_reflexive(addresses)
        self._advance()

    def leave(self) -> None:
        """Gives the mapping back, and sets `over` within 0.9 s."""
        self._machine.stop(self._loop.time())
        self._advance()

    async def close(self) -> None:
        """Ends what still runs. Idempotent."""
        self._end()
        if self._upnp is not None:
            await asyncio.wait([self._upnp])

    def _due(self) -> None:
        self._machine.handle_timeout(self._loop.time())
        self._advance()

    def _advance(self) -> None:
        while (output := self._machine.poll()) is not None:
            match output:
                case Transmit(payload):
                    self._send(payload)
                case MappingChanged(status):
                    _log.info("port mapping at %s: %s", status.gateway.address, _describe(status))
                    self._on_change(status)
                case _:
                    self._upnp = self._loop.create_task(self._call(output, self._upnp))
        self._timer.arm(self._machine.next_timeout())
        if self._machine.is_over:
            self._end()

    def _send(self, payload: bytes) -> None:
        if self._socket is None:
            return
        try:
            self._socket.send(payload)
        except ConnectionRefusedError:  # the answer to an earlier datagram
            self._machine.gateway_unreachable(self._loop.time())
        except OSError as error:
            _log.debug("nothing was sent to the gateway %s: %s", self._server.address, error)

    def _receive(self, sock: socket.socket) -> None:
        # The socket is connected: the kernel takes datagrams from the gateway's port alone.
        self._machine.receive_datagram(sock.recv(pcp.MAX_MESSAGE_BYTES + 1), self._server, self._loop.time())

    def _receive_announcement(self, sock: socket.socket) -> None:
        data, (host, port, *_) = sock.recvfrom(pcp.MAX_MESSAGE_BYTES + 1)
        if port != 0:  # which UDP allows, and an endpoint does not
            source = Endpoint.of(host.partition("%")[0], port)
            self._machine.receive_announcement(data, source, self._loop.time())

    async def _call(self, request: UpnpRequest, before: asyncio.Task[None] | None) -> None:
        """A new request replaces the one before: the machine has given it up."""
        if before is not None:
            before.cancel()
            await asyncio.wait([before])
        if self._internet_gateway is None:
            from shadowmesh.node.upnp_igd import InternetGateway  # 3 MB, of use with some routers only

            self._internet_gateway = InternetGateway(self._reached.gateway)
        result = await self._internet_gateway.carry_out(request)
        self._machine.upnp_answered(result, self._loop.time())
        self._advance()

    def _open(
        self, make: Callable[[ReachedGateway], socket.socket], receive: Callable[[socket.socket], None]
    ) -> socket.socket | None:
        try:
            sock = make(self._reached)
        except OSError as error:
            _log.debug("port mapping at %s: %s", self._reached.gateway.address, error)
            return None
        sock.setblocking(False)
        self._loop.add_reader(sock, self._readable, sock, receive)
        return sock

    def _readable(self, sock: socket.socket, receive: Callable[[socket.socket], None]) -> None:
        try:
            receive(sock)
        except BlockingIOError:
            pass
        except ConnectionRefusedError:
            self._machine.gateway_unreachable(self._loop.time())
        except OSError as error:
            _log.debug("nothing was received from the gateway: %s", error)
        self._advance()

    def _end(self) -> None:
        self.over.set()
        self._timer.cancel()
        if self._upnp is not None and self._upnp is not asyncio.current_task():
            self._upnp.cancel()
        for sock in (self._socket, self._announcements):
            if sock is not None:
                self._loop.remove_reader(sock)
                sock.close()
        self._socket = self._announcements = None


def _request_socket(reached: ReachedGateway) -> socket.socket:
    sock = _new_socket(reached)
    with closed_on_failure(sock):
        sock.bind((str(reached.gateway.local), 0))
        sock.connect(_socket_address(reached, reached.gateway.address, pcp.SERVER_PORT))
    return sock


def _announcement_socket(reached: ReachedGateway) -> socket.socket:
    """Other programs of this host listen there too."""
    sock = _new_socket(reached)
    with closed_on_failure(sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reached.gateway.address.version == 4:
            sock.bind(_socket_address(reached, _ALL_HOSTS, pcp.ANNOUNCEMENT_PORT))
            membership = _ALL_HOSTS.packed + reached.gateway.local.packed
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        else:
            sock.bind(_socket_address(reached, _ALL_NODES, pcp.ANNOUNCEMENT_PORT))
    return sock


def _new_socket(reached: ReachedGateway) -> socket.socket:
    family = socket.AF_INET if reached.gateway.address.version == 4 else socket.AF_INET6
    return socket.socket(family, socket.SOCK_DGRAM)


def _socket_address(
    reached: ReachedGateway, address: Address, port: int
) -> tuple[str, int] | tuple[str, int, int, int]:
    """Link-local addresses have the interface as their scope."""
    if address.version == 4:
        return str(address), port
    is_scoped = address.is_link_local or address.is_multicast
    return str(address), port, 0, socket.if_nametoindex(reached.interface) if is_scoped else 0


def _describe(status: MappingStatus) -> str:
    what = status.state.value
    if status.external is not None and status.protocol is not None:
        what += f" to {status.external} by {status.protocol.value}"
    return f"{what}: {status.reason}" if status.reason else what
