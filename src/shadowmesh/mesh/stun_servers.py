"""Which STUN servers of the directory a node asks. Spec: docs/spec/paths.md, section 3."""

from __future__ import annotations

from collections.abc import Sequence

from shadowmesh.identity.names import Fingerprint
from shadowmesh.records.directory import BackboneNode
from shadowmesh.wire.endpoint import Endpoint

# Two ports of one address and one of another tell on what a mapping depends; a fourth stands in for a dead one.
IPV4_SERVERS = 4
# IPv6 is hardly ever translated: one shows our address and opens the firewall's entry, one stands in for it.
IPV6_SERVERS = 2


def choose_stun_servers(nodes: Sequence[BackboneNode], used: Fingerprint | None) -> tuple[Endpoint, ...]:
    """IPv4 first: two ports of the used node, then other addresses, its own before those of other nodes."""
    ordered = sorted(nodes, key=lambda node: node.fingerprint != used)
    endpoints = [endpoint for node in ordered for endpoint in node.stun]
    ipv4 = [endpoint for endpoint in endpoints if endpoint.address.version == 4]
    ipv6 = [endpoint for endpoint in endpoints if endpoint.address.version == 6]
    pair = [endpoint for endpoint in ipv4 if endpoint.address == ipv4[0].address][:2]
    chosen = dict.fromkeys([*pair, *_one_an_address(ipv4), *ipv4])
    return (*list(chosen)[:IPV4_SERVERS], *_one_an_address(ipv6)[:IPV6_SERVERS])


def _one_an_address(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    return list({endpoint.address: endpoint for endpoint in reversed(endpoints)}.values())[::-1]
