"""What a machine wants sent."""

from dataclasses import dataclass, field

from shadowmesh.wire.endpoint import Endpoint

# IPv6's minimum MTU of 1,280 less 40 bytes of IPv6 header and 8 of UDP: passes every path unfragmented (RFC 8200 §5).
MAX_DATAGRAM_BYTES = 1232


@dataclass(frozen=True, slots=True)
class Transmit:
    """One datagram to send from the node's UDP port."""

    payload: bytes = field(repr=False)
    destination: Endpoint
