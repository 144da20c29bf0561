"""What a machine wants sent."""

from dataclasses import dataclass, field

from shadowmesh.wire.endpoint import Endpoint

# IPv6's minimum MTU of 1,280 less 40 bytes of IPv6 header and 8 of UDP: passes every path unfragmented (RFC 8200 §5).
MAX_DATAGRAM_BYTES = 1232


@dataclass(frozen=True, slots=True)
class Transmit:
    """One datagram to send from one of the node's UDP ports."""

    payload: bytes = field(repr=False)
    destination: Endpoint
    via: int | None = None  # number of the local port, 0: the main one; None: the one that leads to the destination
