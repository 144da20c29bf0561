"""Watches the datagrams between two hosts, with the kernel's time of each."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from shadowmesh.lab.host import Host

ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 0x0003, 0x0800, 0x86DD
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35  # not in Python's socket module
UDP = 17
BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Datagram:
    at_ms: float
    is_outgoing: bool
    payload: bytes


class Sniffer:
    """On the first interface of `host`, for UDP to and from `peer`, from when it is made. A context manager."""

    def __init__(self, host: Host, peer: Host) -> None:
        self._peer = {address.ip for address in peer.addresses}
        self._socket = host.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        self._socket.bind(("eth0", ETH_P_ALL))

    def __enter__(self) -> "Sniffer":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def datagrams(self) -> Iterator[Datagram]:
        """All that have passed and were not read yet, the first ones if the buffer was too small."""
        self._socket.setblocking(False)
        while True:
            try:
                packet, ancillary, _, (_, protocol, kind, *_) = self._socket.recvmsg(65_536, 128)
            except BlockingIOError:
                return
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
            is_outgoing = kind == socket.PACKET_OUTGOING
            payload = self._payload(packet, protocol, is_outgoing=is_outgoing)
            if payload:
                yield Datagram(seconds * 1e3 + nanoseconds / 1e6, is_outgoing, payload)

    def _payload(self, packet: bytes, protocol: int, *, is_outgoing: bool) -> bytes:
        """Of a datagram between the two; empty for all else."""
        if protocol == ETH_P_IP:
            header, carries, addresses = (packet[0] & 15) * 4, packet[9], (packet[12:16], packet[16:20])
        elif protocol == ETH_P_IPV6:
            header, carries, addresses = 40, packet[6], (packet[8:24], packet[24:40])
        else:
            return b""
        is_peer = ip_address(addresses[1 if is_outgoing else 0]) in self._peer
        return packet[header + 8 :] if carries == UDP and is_peer else b""
