"""UDP multicast in the networks that this host has addresses in. Linux. Spec: docs/spec/lan.md, section 3."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address

from shadowmesh.node.closed_on_failure import closed_on_failure
from shadowmesh.node.host_addresses import ipv6_interfaces
from shadowmesh.wire.endpoint import Endpoint

GROUP_IPV4 = IPv4Address("239.255.115.109")  # RFC 2365 section 6.1: local scope
GROUP_IPV6 = IPv6Address("ff02::736d")  # RFC 4291 section 2.7: link-local scope
GROUP_PORT = 41642
HOPS = 1
_MAX_DATAGRAM_BYTES = 1500
_MAX_BATCH = 32  # datagrams of one turn of the loop; what is left has it called again
_log = logging.getLogger(__name__)


class LanSockets:
    """A socket for each address to send from, so that listeners see where we are, and others to listen."""

    def __init__(self) -> None:
        self._receive: Callable[[bytes, Endpoint], None] = lambda *_: None
        self._senders: list[socket.socket] = []
        self._listeners: list[socket.socket] = []

    def start(self, receive: Callable[[bytes, Endpoint], None]) -> None:
        """`receive` gets what is sent to the group, our own among it, on the loop that runs."""
        self._receive = receive

    def set_addresses(self, addresses: Sequence[IPv4Address | IPv6Address]) -> None:
        """Those of this host, without the overlay's. A network that has no multicast is left out."""
        self.close()
        ipv4 = [address for address in addresses if isinstance(address, IPv4Address)]
        interfaces = ipv6_interfaces()
        ipv6 = {
            address: interfaces[address]
            for address in addresses
            if isinstance(address, IPv6Address) and address in interfaces
        }
        senders = [partial(_sender_ipv4, address) for address in ipv4]
        senders += [partial(_sender_ipv6, address, index) for address, index in ipv6.items()]
        listeners = [partial(_listener_ipv6, index) for index in dict.fromkeys(ipv6.values())]
        self._senders = _open(senders)
        self._listeners = _open([*([partial(_listener_ipv4, ipv4)] if ipv4 else []), *listeners])
        for listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener, self._drain, listener)

    def announce(self, payload: bytes) -> None:
        for sender in self._senders:
            try:
                sender.send(payload)
            except OSError as error:
                _log.debug("an announcement was not sent: %s", error)

    def close(self) -> None:
        """Idempotent."""
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
        for each in [*self._listeners, *self._senders]:
            each.close()
        self._listeners, self._senders = [], []

    def _drain(self, listener: socket.socket) -> None:
        for _ in range(_MAX_BATCH):
            try:
                data, source = listener.recvfrom(_MAX_DATAGRAM_BYTES)
            except OSError:
                return
            if not source[0].partition("%")[0].startswith("fe80:"):  # an endpoint has no scope
                self._receive(data, Endpoint.of(source[0], source[1]))


def _open(makers: Sequence[Callable[[], socket.socket]]) -> list[socket.socket]:
    opened = []
    for make in makers:
        try:
            opened.append(make())
        except OSError as error:
            _log.info("a network has no multicast: %s", error)
    return opened


def _sender_ipv4(address: IPv4Address) -> socket.socket:
    with closed_on_failure(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)) as sender:
        sender.bind((str(address), 0))
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, address.packed)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOPS)
        sender.connect((str(GROUP_IPV4), GROUP_PORT))
    return sender


def _sender_ipv6(address: IPv6Address, interface: int) -> socket.socket:
    with closed_on_failure(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)) as sender:
        sender.bind((str(address), 0))
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface)
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOPS)
        sender.connect((str(GROUP_IPV6), GROUP_PORT, 0, interface))
    return sender


def _listener_ipv4(addresses: Sequence[IPv4Address]) -> socket.socket:
    """Bound to the group: what comes for this host alone, perhaps from far away, is not heard."""
    with closed_on_failure(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # several nodes of one host
        listener.bind((str(GROUP_IPV4), GROUP_PORT))
        for address in addresses:
            _join_ipv4(listener, address)
    return listener


def _join_ipv4(listener: socket.socket, address: IPv4Address) -> None:
    try:
        listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, GROUP_IPV4.packed + address.packed)
    except OSError as error:  # two addresses of one interface, or more than the system's 20
        _log.debug("the group is not joined at %s: %s", address, error)


def _listener_ipv6(interface: int) -> socket.socket:
    with closed_on_failure(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(GROUP_IPV6), GROUP_PORT, 0, interface))
        membership = GROUP_IPV6.packed + struct.pack("@I", interface)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
    return listener
