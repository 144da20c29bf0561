"""Whom a limit counts as one source."""

from ipaddress import IPv4Network, IPv6Network

from shadowmesh.wire.endpoint import Endpoint

_PREFIX_BITS = {4: 24, 6: 48}  # what one customer, or one careless network, can send from


def source_prefix(endpoint: Endpoint) -> IPv4Network | IPv6Network:
    """The /24 or /48 that an address lies in."""
    bits = _PREFIX_BITS[endpoint.address.version]
    if endpoint.address.version == 4:
        return IPv4Network((endpoint.address.packed, bits), strict=False)
    return IPv6Network((endpoint.address.packed, bits), strict=False)
