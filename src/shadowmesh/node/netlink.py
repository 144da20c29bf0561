"""What the kernel says of changes to links, addresses and routes: rtnetlink(7). Linux."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

# linux/rtnetlink.h
_RTMGRP_LINK, _RTMGRP_IPV4_IFADDR, _RTMGRP_IPV4_ROUTE = 0x1, 0x10, 0x40
_RTMGRP_IPV6_IFADDR, _RTMGRP_IPV6_ROUTE = 0x100, 0x400
GROUPS = _RTMGRP_LINK | _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV6_IFADDR | _RTMGRP_IPV4_ROUTE | _RTMGRP_IPV6_ROUTE
_RTM_NEWLINK, _RTM_DELLINK = 16, 17
_RTM_ADDR = (20, 21)  # NEW, DEL
_RTM_ROUTE = (24, 25)
_IFLA_IFNAME = 3
_IFF_RUNNING = 0x40  # net/if.h: it is up, and has a carrier

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, hardware type, index, flags, change mask
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, destination length, source length, TOS, table, ...
_ATTRIBUTE = struct.Struct("=HH")  # rtattr: length, type
_ALIGNMENT = 4
MAX_DATAGRAM_BYTES = 32 * 1024  # the kernel's own batches are no longer


@dataclass(frozen=True, slots=True)
class LinkChange:
    index: int
    name: str  # "" when the kernel does not tell it
    running: bool


@dataclass(frozen=True, slots=True)
class AddressChange:
    index: int


@dataclass(frozen=True, slots=True)
class RouteChange:
    """Of a default route."""


Change = LinkChange | AddressChange | RouteChange


def open_socket() -> socket.socket:
    """Non-blocking; gets all that `decode` understands. Raises OSError."""
    listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    try:
        listener.bind((0, GROUPS))
    except OSError:
        listener.close()
        raise
    return listener


def decode(data: bytes) -> list[Change]:
    """Of one datagram; whatever is cut short, or means something else, is left out."""
    changes = (_decode_message(kind, body) for kind, body in _messages(data))
    return [change for change in changes if change is not None]


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        if not _HEADER.size <= length <= len(data):
            return
        yield kind, data[_HEADER.size : length]
        data = data[_aligned(length) :]


def _decode_message(kind: int, body: bytes) -> Change | None:
    if kind in (_RTM_NEWLINK, _RTM_DELLINK) and len(body) >= _LINK.size:
        _, _, index, flags, _ = _LINK.unpack_from(body)
        return LinkChange(index, _name(body[_LINK.size :]), kind == _RTM_NEWLINK and bool(flags & _IFF_RUNNING))
    if kind in _RTM_ADDR and len(body) >= _ADDRESS.size:
        return AddressChange(_ADDRESS.unpack_from(body)[-1])
    if kind in _RTM_ROUTE and len(body) >= _ROUTE.size:
        is_default = _ROUTE.unpack_from(body)[1] == 0
        return RouteChange() if is_default else None
    return None


def _name(attributes: bytes) -> str:
    while len(attributes) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(attributes)
        if not _ATTRIBUTE.size <= length <= len(attributes):
            return ""
        if kind == _IFLA_IFNAME:
            return attributes[_ATTRIBUTE.size : length].rstrip(b"\0").decode("utf-8", "replace")
        attributes = attributes[_aligned(length) :]
    return ""


def _aligned(length: int) -> int:
    return -(-length // _ALIGNMENT) * _ALIGNMENT
