"""The router that maps ports on request, asked in each of the three languages by a client of the test's own."""

import re
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import closing
from http.client import HTTPConnection
from types import MappingProxyType
from urllib.parse import urljoin, urlsplit

import pytest
from tests.lab.nat.nat_pmp import map_port, outside_address
from tests.lab.nat.place import Place, place

from shadowmesh.lab.host import Host
from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.nat.observer import Endpoint, bound, endpoint, receive
from shadowmesh.lab.nat.site import Site

pytestmark = pytest.mark.privileged

PORT = 5351
TIMEOUT_S = 5.0
REFUSED_S = 0.3
SERVICE = "urn:schemas-upnp-org:service:WANIPConnection"
SEARCH = (
    f'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: {SERVICE}:1\r\n\r\n'
)


@pytest.fixture(scope="module")
def world() -> Iterator[Place]:
    with place() as made:
        yield made


@pytest.fixture(scope="module")
def site(world: Place) -> Site:
    return world.internet.site("home", NatKind.UPNP)


def test_nat_pmp_opens_a_port_to_strangers_and_closes_it_again(world: Place, site: Site) -> None:
    host = site.hosts[0]
    assert outside_address(host, site) == str(site.outside)
    with bound(host.socket, str(host.ipv4)) as inside:
        port = endpoint(inside)[1]
        target = map_port(host, site, port)
        assert reaches(world, inside, target)
        map_port(host, site, port, lifetime_s=0)
        assert not reaches(world, inside, target)


def test_pcp_opens_a_port_to_strangers(world: Place, site: Site) -> None:
    host = site.hosts[0]
    with bound(host.socket, str(host.ipv4)) as inside:
        target = pcp_map(host, site, endpoint(inside)[1])
        assert target[0] == str(site.outside)
        assert reaches(world, inside, target)


def test_upnp_igd_is_found_and_opens_a_port_to_strangers(world: Place, site: Site) -> None:
    host = site.hosts[0]
    with bound(host.socket, str(host.ipv4)) as inside:
        port = endpoint(inside)[1]
        control = control_url(host)
        assert f">{site.outside}<" in soap(host, control, "GetExternalIPAddress", "")
        soap(host, control, "AddPortMapping", add_arguments(host, port))
        assert reaches(world, inside, (str(site.outside), port))


def test_a_port_that_nobody_asked_for_stays_closed(world: Place, site: Site) -> None:
    host = site.hosts[0]
    with bound(host.socket, str(host.ipv4)) as inside:
        assert not reaches(world, inside, (str(site.outside), endpoint(inside)[1]))


def test_after_a_roam_ports_are_mapped_at_the_new_address(world: Place) -> None:
    moving = world.internet.site("moving", NatKind.UPNP)
    host = moving.hosts[0]
    with bound(host.socket, str(host.ipv4)) as inside:
        port = endpoint(inside)[1]
        before = map_port(host, moving, port)
        moving.roam()
        assert outside_address(host, moving) == str(moving.outside) != before[0]
        assert not reaches(world, inside, before)
        assert reaches(world, inside, map_port(host, moving, port))


def reaches(world: Place, inside: socket.socket, target: Endpoint) -> bool:
    """Whether a host of the internet that was never sent to reaches the socket."""
    stranger = world.watchers[0]
    with bound(stranger.socket, str(stranger.ipv4)) as sender:
        sender.sendto(b"stranger", target)
        return receive(inside, b"stranger", REFUSED_S) is not None


def pcp_map(host: Host, site: Site, port: int) -> Endpoint:
    """RFC 6887: a MAP request for UDP, version 2, operation 1."""
    client_address = b"\0" * 10 + b"\xff\xff" + host.ipv4.packed
    header = struct.pack("!BBHI16s", 2, 1, 0, 60, client_address)
    request = header + struct.pack("!12sB3xHH16s", b"nonce-of-12-", 17, port, port, b"\0" * 10 + b"\xff\xff" + bytes(4))
    with host.socket() as client:
        client.settimeout(TIMEOUT_S)
        client.sendto(request, (str(site.lan.addresses(0)[0].ip), PORT))
        reply = client.recv(1100)
    assert (reply[0], reply[1], reply[3]) == (2, 129, 0)
    outside_port, address = struct.unpack_from("!H16s", reply, 24 + 18)
    return socket.inet_ntoa(address[12:]), outside_port


def control_url(host: Host) -> tuple[str, str]:
    """Where the service is told what to do, and its type, whose version the router chooses."""
    with host.socket() as client:
        client.settimeout(TIMEOUT_S)
        client.sendto(SEARCH.encode(), ("239.255.255.250", 1900))
        answer = client.recv(2048).decode()
    location = re.search(r"(?im)^location:\s*(\S+)", answer)
    assert location is not None
    description = http(host, location[1])
    service = re.search(rf"<serviceType>({SERVICE}:\d)</serviceType>.*?<controlURL>(.*?)</controlURL>", description)
    assert service is not None
    return urljoin(location[1], service[2]), service[1]


def add_arguments(host: Host, port: int) -> str:
    values = {
        "NewRemoteHost": "",
        "NewExternalPort": port,
        "NewProtocol": "UDP",
        "NewInternalPort": port,
        "NewInternalClient": host.ipv4,
        "NewEnabled": 1,
        "NewPortMappingDescription": "test",
        "NewLeaseDuration": 60,
    }
    return "".join(f"<{name}>{value}</{name}>" for name, value in values.items())


def soap(host: Host, control: tuple[str, str], action: str, arguments: str) -> str:
    url, service = control
    envelope = "http://schemas.xmlsoap.org/soap/envelope/"
    body = (
        f'<?xml version="1.0"?><s:Envelope xmlns:s="{envelope}" s:encodingStyle="{envelope}encoding/"><s:Body>'
        f'<u:{action} xmlns:u="{service}">{arguments}</u:{action}></s:Body></s:Envelope>'
    )
    return http(host, url, body, {"Content-Type": "text/xml", "SOAPAction": f'"{service}#{action}"'})


def http(host: Host, url: str, body: str | None = None, headers: Mapping[str, str] = MappingProxyType({})) -> str:
    """A GET, or a POST where there is a body. The status is 200."""
    address = urlsplit(url)
    assert address.hostname is not None
    connection = HTTPConnection(address.hostname, address.port, timeout=TIMEOUT_S)
    with host.enter(), closing(connection):
        connection.request("GET" if body is None else "POST", address.path, body, dict(headers))
        response = connection.getresponse()
        text = response.read().decode()
    assert response.status == 200, text
    return text
