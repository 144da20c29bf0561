"""Carries out the port mapper's UPnP requests. Imported only where a router is asked by UPnP: 3 MB.

What comes from the router is untrusted: only the gateway's own address is listened to and asked, answers have a size,
and redirections are not followed.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

import aiohttp
from async_upnp_client.client import UpnpRequester, UpnpService
from async_upnp_client.client_factory import UpnpFactory
from async_upnp_client.const import HttpRequest, HttpResponse
from async_upnp_client.exceptions import UpnpActionError, UpnpConnectionError

from shadowmesh.paths.port_mapping.ssdp import GATEWAY_TYPES, SSDP_GROUP, Search, SearchResponse
from shadowmesh.paths.port_mapping.status import Gateway
from shadowmesh.paths.port_mapping.upnp import UpnpAdd, UpnpAdded, UpnpDelete, UpnpDeleted, UpnpFailed, UpnpResult
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError

SEARCHES_AT_S = (0.0, 0.5, 1.0)  # a datagram may be lost, and some routers overlook the first
SEARCH_S = 2.5  # the last search, MX 1 s, and a slow router
REQUEST_S = 5.0
ALL_S = 15.0  # below the 20 s after which the machine gives up
MAX_BODY_BYTES = 256 * 1024  # descriptions of real routers have 2 to 40 KB
DESCRIPTION = "ShadowMesh"
# WANPPPConnection is that of DSL routers. The order is that of preference.
_SERVICES = tuple(
    f"urn:schemas-upnp-org:service:{service}"
    for service in ("WANIPConnection:2", "WANIPConnection:1", "WANPPPConnection:1")
)


class NoDevice(Exception):
    """No Internet Gateway Device at the gateway's address, or none that maps ports."""


class InternetGateway:
    """Searched for when it is first needed, and again after a failure."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._service: UpnpService | None = None

    async def carry_out(self, request: UpnpAdd | UpnpDelete) -> UpnpResult:
        """Within 15 s. Raises nothing but CancelledError."""
        try:
            async with asyncio.timeout(ALL_S):
                service = self._service = self._service or await self._find()
                return await (_add(service, request) if isinstance(request, UpnpAdd) else _delete(service, request))
        except UpnpActionError as refused:  # its description is the router's text: not for our logs
            return UpnpFailed(request, refused.error_code, f"error {refused.error_code}")
        except NoDevice as missing:
            reason = str(missing)
        except TimeoutError:
            reason = "no answer in time"
        except Exception as error:  # the library reads the router's XML: what it stumbles over is the router's fault
            reason = type(error).__name__
        self._service = None
        return UpnpFailed(request, None, reason)

    async def _find(self) -> UpnpService:
        location = await search(self._gateway)
        if location is None:
            raise NoDevice("no device")
        device = await UpnpFactory(_Requester(self._gateway), non_strict=True).async_create_device(location)
        services = {service.service_type: service for service in device.all_services}
        for service_type in _SERVICES:
            service = services.get(service_type)
            if service is not None and service.has_action("AddPortMapping"):
                return service
        raise NoDevice("the device maps no ports")


async def search(gateway: Gateway) -> str | None:
    """The URL of the gateway's description; None when nobody answers from there within 2.5 s."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[str] = loop.create_future()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((str(gateway.local), 0))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, gateway.local.packed)
        loop.add_reader(sock, _receive, sock, gateway, found)
        timers = [loop.call_later(after_s, _send_searches, sock) for after_s in SEARCHES_AT_S]
        try:
            async with asyncio.timeout(SEARCH_S):
                return await found
        except TimeoutError:
            return None
        finally:
            loop.remove_reader(sock)
            for timer in timers:
                timer.cancel()


def _send_searches(sock: socket.socket) -> None:
    try:
        for device_type in GATEWAY_TYPES:
            sock.sendto(Search(device_type).encode(), SSDP_GROUP.pair)
    except OSError:
        return  # the network is gone: nobody will answer


def _receive(sock: socket.socket, gateway: Gateway, found: asyncio.Future[str]) -> None:
    try:
        data, (host, _) = sock.recvfrom(65536)
        if host != str(gateway.address):
            return
        response = SearchResponse.decode(data)
    except (OSError, DecodeError):
        return
    if response.target in GATEWAY_TYPES and is_at(response.location, gateway) and not found.done():
        found.set_result(response.location)


def is_at(url: str, gateway: Gateway) -> bool:
    """Whether it names the gateway by its address, over HTTP."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and parts.hostname == str(gateway.address)
    except ValueError:
        return False


# Not AddAnyPortMapping: miniupnpd 2.3.1 describes its answer by another name than the one that it sends.
async def _add(service: UpnpService, request: UpnpAdd) -> UpnpAdded:
    outside = (await service.action("GetExternalIPAddress").async_call())["NewExternalIPAddress"]
    await service.action("AddPortMapping").async_call(
        NewRemoteHost="",
        NewExternalPort=request.external_port,
        NewProtocol="UDP",
        NewInternalPort=request.internal.port,
        NewInternalClient=str(request.internal.address),
        NewEnabled=True,
        NewPortMappingDescription=DESCRIPTION,
        NewLeaseDuration=request.lease_s,
    )
    return UpnpAdded(request, Endpoint(_address(outside), request.external_port))


async def _delete(service: UpnpService, request: UpnpDelete) -> UpnpDeleted:
    await service.action("DeletePortMapping").async_call(
        NewRemoteHost="", NewExternalPort=request.external_port, NewProtocol="UDP"
    )
    return UpnpDeleted(request)


def _address(text: str) -> IPv4Address | IPv6Address:
    """A router without a way out names none, or 0.0.0.0."""
    return ip_address(text or str(IPv4Address(0)))


class _Requester(UpnpRequester):
    """HTTP to the gateway alone."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def async_http_request(self, http_request: HttpRequest) -> HttpResponse:
        if not is_at(http_request.url, self._gateway):
            raise UpnpConnectionError("a URL that is not the gateway's")
        timeout = aiohttp.ClientTimeout(total=REQUEST_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(
                    http_request.method,
                    http_request.url,
                    headers=http_request.headers,
                    data=http_request.body,
                    allow_redirects=False,
                ) as response,
            ):
                body = await _read(response)
                headers: Mapping[str, str] = response.headers
                return HttpResponse(response.status, headers, body)
        except aiohttp.ClientError as error:
            raise UpnpConnectionError(type(error).__name__) from error


async def _read(response: aiohttp.ClientResponse) -> str:
    """Raises UpnpConnectionError for a body that is too long, or is not text."""
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise UpnpConnectionError("a body that is too long")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise UpnpConnectionError("a body that is not UTF-8") from None
