"""This host's own addresses, where peers on the same network reach it. Linux."""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from shadowmesh.identity.names import OVERLAY_NETWORK

POLL_INTERVAL_S = 5.0
"""A laptop that wakes in another network is noticed as quickly as people look up from it."""
MAX_ADDRESSES = 32
"""A host with hundreds of bridges and containers offers a few of its addresses, not all."""
_IF_INET6 = Path("/proc/net/if_inet6")
_LOOPBACK = "lo"

# linux/sockios.h, net/if.h: struct ifreq is a name of 16 bytes and a union that holds a struct ifmap.
_SIOCGIFCONF, _SIOCGIFFLAGS = 0x8912, 0x8913
_IFF_UP, _IFF_LOOPBACK = 0x1, 0x8
_NAME_BYTES = 16
_IFREQ_BYTES = _NAME_BYTES + (24 if struct.calcsize("P") == 8 else 16)
_MAX_IFREQS = 256

# linux/if_addr.h
_IFA_F_DADFAILED, _IFA_F_DEPRECATED, _IFA_F_TENTATIVE = 0x08, 0x20, 0x40


def host_addresses(tun: str | None) -> list[IPv4Address | IPv6Address]:
    """Sorted, IPv6 first. Left out: loopback, link-local, `tun`, overlay, deprecated, tentative addresses."""
    ipv6 = parse_if_inet6(_if_inet6(), tun)
    addresses: list[IPv4Address | IPv6Address] = [*sorted(ipv6), *sorted(_ipv4_addresses(tun))]
    return addresses[:MAX_ADDRESSES]


def ipv6_interfaces() -> dict[IPv6Address, int]:
    """The index of the interface that each IPv6 address is on."""
    lines = (line.split() for line in _if_inet6().splitlines())
    return {IPv6Address(bytes.fromhex(fields[0])): int(fields[1], 16) for fields in lines if len(fields) == 6}


def parse_if_inet6(table: str, tun: str | None) -> list[IPv6Address]:
    """Lines of /proc/net/if_inet6: address, interface index, prefix length, scope, flags (all hex), name."""
    addresses = []
    for line in table.splitlines():
        fields = line.split()
        if len(fields) != 6 or fields[5] in (_LOOPBACK, tun):
            continue
        address, flags = IPv6Address(bytes.fromhex(fields[0])), int(fields[4], 16)
        if flags & (_IFA_F_DADFAILED | _IFA_F_DEPRECATED | _IFA_F_TENTATIVE):
            continue
        if _is_candidate(address) and address not in OVERLAY_NETWORK:
            addresses.append(address)
    return addresses


def _if_inet6() -> str:
    """Empty where IPv6 is switched off."""
    try:
        return _IF_INET6.read_text(encoding="ascii")
    except OSError:
        return ""


def _ipv4_addresses(tun: str | None) -> list[IPv4Address]:
    buffer = array.array("B", bytes(_MAX_IFREQS * _IFREQ_BYTES))
    location, _ = buffer.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        filled = fcntl.ioctl(probe, _SIOCGIFCONF, struct.pack("iP", len(buffer), location))
        (length,) = struct.unpack_from("i", filled)
        entries = buffer.tobytes()[:length]
        addresses = []
        for offset in range(0, length, _IFREQ_BYTES):
            name = entries[offset : offset + _NAME_BYTES]
            address = IPv4Address(entries[offset + _NAME_BYTES + 4 : offset + _NAME_BYTES + 8])
            # A second address has a label such as eth0:1.
            interface = name.rstrip(b"\0").partition(b":")[0].decode("utf-8", "replace")
            if interface != tun and _is_candidate(address) and _is_usable(probe, name):
                addresses.append(address)
    return addresses


def _is_usable(probe: socket.socket, name: bytes) -> bool:
    try:
        answer = fcntl.ioctl(probe, _SIOCGIFFLAGS, name.ljust(_IFREQ_BYTES, b"\0"))
    except OSError:
        return False  # it has gone since
    (flags,) = struct.unpack_from("H", answer, _NAME_BYTES)
    return bool(flags & _IFF_UP) and not flags & _IFF_LOOPBACK


def _is_candidate(address: IPv4Address | IPv6Address) -> bool:
    return not (address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast)
