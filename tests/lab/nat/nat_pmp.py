"""A NAT-PMP client of 20 lines (RFC 6886): it judges the lab's router, so it is not ShadowMesh's own."""

import socket
import struct

from shadowmesh.lab.host import Host
from shadowmesh.lab.nat.observer import Endpoint
from shadowmesh.lab.nat.site import Site

PORT = 5351
TIMEOUT_S = 5.0


def outside_address(host: Host, site: Site) -> str:
    reply = ask(host, site, bytes([0, 0]))
    return socket.inet_ntoa(reply[8:12])


def map_port(host: Host, site: Site, inside_port: int, lifetime_s: int = 60) -> Endpoint:
    """The outside endpoint that was granted; lifetime 0 removes the mapping."""
    reply = ask(host, site, struct.pack("!BBHHHI", 0, 1, 0, inside_port, inside_port, lifetime_s))
    (outside_port,) = struct.unpack_from("!H", reply, 10)
    return str(site.outside), outside_port


def ask(host: Host, site: Site, request: bytes) -> bytes:
    gateway = site.lan.addresses(0)[0].ip
    with host.socket() as client:
        client.settimeout(TIMEOUT_S)
        client.sendto(request, (str(gateway), PORT))
        reply = client.recv(1100)
    version, operation, result = struct.unpack_from("!BBH", reply)
    assert (version, operation, result) == (0, request[1] | 128, 0)
    return reply
