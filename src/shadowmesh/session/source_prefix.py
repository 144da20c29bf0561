"""Whom a limit counts as one source."""

from shadowmesh.wire.endpoint import Endpoint

_PREFIX_BYTES = {4: 3, 6: 6}  # a /24 or /48: what one customer, or one careless network, can send from


def source_prefix(endpoint: Endpoint) -> bytes:
    """The first 3 bytes of an IPv4 address, 6 of an IPv6 one."""
    return endpoint.address.packed[: _PREFIX_BYTES[endpoint.address.version]]
