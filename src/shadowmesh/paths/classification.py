"""From what several observers saw of our UDP ports to how our NAT maps them (RFC 5780 section 4.3).

Spec: docs/spec/paths.md, section 4.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise

from shadowmesh.paths.nat_behaviour import ALL_PORTS, Mapping, PortRange
from shadowmesh.wire.endpoint import Endpoint

MAX_STEP = 16  # a router that counts on by more between two of our mappings serves others at the same time
MIN_SAMPLES = 8  # fewer ports say too little about where the next one will be
MAX_BLOCK_PORTS = 8192  # beyond twice the largest block that carriers hand out (RFC 7422: 512 to 4,096) it is chance


@dataclass(frozen=True, slots=True)
class Observation:
    """`observer` saw our datagrams come from `mapped`."""

    observer: Endpoint
    mapped: Endpoint
    seen_at: float = 0.0
    rtt_s: float | None = None  # None: asked more than once, so that the answer may be to either (Karn's algorithm)


def classify_mapping(
    observations: Sequence[Observation], own: Collection[IPv4Address | IPv6Address]
) -> tuple[Mapping, int]:
    """Mapping of one local port, and the step between its outside ports where there is a steady one.

    `observations`: of one address family, in the order in which the observers were asked. `own`: addresses of this
    host.
    """
    if not observations:
        return Mapping.UNKNOWN, 0
    if all(seen.mapped.address in own for seen in observations):
        return Mapping.NONE, 0
    outside = {seen.mapped for seen in observations}
    if len(outside) == 1:
        several = len({seen.observer for seen in observations}) > 1
        return (Mapping.ENDPOINT_INDEPENDENT if several else Mapping.UNKNOWN), 0
    by_address = {seen.observer.address: set[Endpoint]() for seen in observations}
    for seen in observations:
        by_address[seen.observer.address].add(seen.mapped)
    one_port_an_address = all(len(mapped) == 1 for mapped in by_address.values())
    asked_twice = len(observations) > len(by_address)
    depends_on_address_only = one_port_an_address and asked_twice
    mapping = Mapping.ADDRESS_DEPENDENT if depends_on_address_only else Mapping.ADDRESS_AND_PORT_DEPENDENT
    return mapping, steady_step([seen.mapped.port for seen in observations])


def steady_step(ports: Sequence[int]) -> int:
    """By how much the ports grow from one to the next; 0 when they don't do so evenly.

    Others behind the same NAT take ports in between, so a distance may be a small multiple of the step.
    """
    distances = [after - before for before, after in pairwise(ports) if after != before]
    if len(distances) < 2 or len({distance > 0 for distance in distances}) > 1:
        return 0
    smallest = min(distances, key=abs)
    is_even = all(distance % smallest == 0 and abs(distance) <= MAX_STEP for distance in distances)
    return smallest if is_even else 0


def estimate_block(ports: Collection[int]) -> PortRange | None:
    """Where a NAT that draws ports at random from a block draws them; None when they lie all over the range.

    n ports drawn from a block of S lie S (n - 1) / (n + 1) apart on average, so the block reaches beyond both ends of
    what was seen.
    """
    distinct = set(ports)
    if len(distinct) < MIN_SAMPLES:
        return None
    low, high = min(distinct), max(distinct)
    spread = high - low + 1
    beyond = -(-spread * 2 // (len(distinct) - 1))
    first, last = max(ALL_PORTS.first, low - beyond), min(ALL_PORTS.last, high + beyond)
    return PortRange(first, last) if 0 < last - first < MAX_BLOCK_PORTS and low >= ALL_PORTS.first else None
