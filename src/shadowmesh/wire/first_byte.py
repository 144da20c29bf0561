"""Which protocol a datagram on the node's UDP port belongs to. Spec: docs/spec/datagrams.md.

The engine's core holds the same table; docs/spec/vectors/first_byte.json checks both.
"""

from enum import Enum, IntEnum

STUN_MAGIC_COOKIE = b"\x21\x12\xa4\x42"  # RFC 8489 §5
_STUN_HEADER_BYTES = 20


class ControlType(IntEnum):
    """First byte of our own control datagrams."""

    SESSION = 0x40
    SESSION_MISSING = 0x41
    COOKIE = 0x42
    PROBE = 0x44
    PROBE_REPLY = 0x45
    LAN_RECORD_REQUEST = 0x46
    LAN_RECORD_CHUNK = 0x47
    LAN_ANNOUNCEMENT = 0x48  # to the group, never to a node's port


class DatagramKind(Enum):
    WIREGUARD = "wireguard"
    STUN = "stun"
    CONTROL = "control"
    RELAY = "relay"
    UNKNOWN = "unknown"


def classify(datagram: bytes) -> DatagramKind:
    """The engine handles WIREGUARD and RELAY itself, hands up STUN and CONTROL, and drops UNKNOWN."""
    if not datagram:
        return DatagramKind.UNKNOWN
    first = datagram[0]
    if first == 0x50:
        return DatagramKind.RELAY
    if first >= 0x40:
        return DatagramKind.CONTROL
    # A WireGuard type is followed by three zero bytes, a STUN message never begins with 0x0100: RFC 8489 §5 and
    # §18.2 give method 0 to nothing.
    if 1 <= first <= 4 and len(datagram) >= 4 and datagram[1:4] == b"\0\0\0":
        return DatagramKind.WIREGUARD
    if first in (0, 1) and len(datagram) >= _STUN_HEADER_BYTES and datagram[4:8] == STUN_MAGIC_COOKIE:
        return DatagramKind.STUN
    return DatagramKind.UNKNOWN
