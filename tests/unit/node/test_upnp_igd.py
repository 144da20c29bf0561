"""What a router can do wrong by UPnP. What it does right is tested against miniupnpd, end to end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address

import pytest
from aiohttp import web
from tests.unit.node.loopback_router import REACHED

from shadowmesh.node import upnp_igd
from shadowmesh.node.upnp_igd import MAX_BODY_BYTES, InternetGateway, is_at, search
from shadowmesh.paths.port_mapping.status import Gateway
from shadowmesh.paths.port_mapping.upnp import UpnpAdd, UpnpAdded, UpnpDelete, UpnpDeleted, UpnpFailed, UpnpResult
from shadowmesh.wire.endpoint import Endpoint

GATEWAY = REACHED.gateway
ADD = UpnpAdd(1, Endpoint(GATEWAY.local, 41641), 41641, 3600)
SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1"
DESCRIPTION = f"""<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor></specVersion>
<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><friendlyName>r</friendlyName>
<manufacturer>m</manufacturer><modelName>n</modelName><UDN>uuid:1</UDN>
<serviceList><service><serviceType>{SERVICE}</serviceType><serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId>
<SCPDURL>/scpd.xml</SCPDURL><controlURL>/control</controlURL><eventSubURL>/event</eventSubURL></service></serviceList>
</device></root>"""


def action(name: str, arguments: str) -> str:
    return f"<action><name>{name}</name><argumentList>{arguments}</argumentList></action>"


def argument(name: str, direction: str, variable: str) -> str:
    return (
        f"<argument><name>{name}</name><direction>{direction}</direction>"
        f"<relatedStateVariable>{variable}</relatedStateVariable></argument>"
    )


ADD_ARGUMENTS = {
    "NewRemoteHost": "Text",
    "NewExternalPort": "Number",
    "NewProtocol": "Text",
    "NewInternalPort": "Number",
    "NewInternalClient": "Text",
    "NewEnabled": "Flag",
    "NewPortMappingDescription": "Text",
    "NewLeaseDuration": "Number",
}
DELETE_ARGUMENTS = {"NewRemoteHost": "Text", "NewExternalPort": "Number", "NewProtocol": "Text"}
SCPD = f"""<?xml version="1.0"?>
<scpd xmlns="urn:schemas-upnp-org:service-1-0"><specVersion><major>1</major><minor>0</minor></specVersion><actionList>
{action("GetExternalIPAddress", argument("NewExternalIPAddress", "out", "Text"))}
{action("AddPortMapping", "".join(argument(name, "in", ADD_ARGUMENTS[name]) for name in ADD_ARGUMENTS))}
{action("DeletePortMapping", "".join(argument(name, "in", DELETE_ARGUMENTS[name]) for name in DELETE_ARGUMENTS))}
</actionList><serviceStateTable>
<stateVariable sendEvents="no"><name>Text</name><dataType>string</dataType></stateVariable>
<stateVariable sendEvents="no"><name>Number</name><dataType>ui4</dataType></stateVariable>
<stateVariable sendEvents="no"><name>Flag</name><dataType>boolean</dataType></stateVariable>
</serviceStateTable></scpd>"""
FAULT = """<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>
<faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>
<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>718</errorCode>
<errorDescription>ConflictInMappingEntry</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>"""


def answer(name: str, inner: str = "") -> str:
    return (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<u:{name}Response xmlns:u="{SERVICE}">{inner}</u:{name}Response></s:Body></s:Envelope>'
    )


GOOD = {
    "/description.xml": DESCRIPTION,
    "/scpd.xml": SCPD,
    "GetExternalIPAddress": answer("GetExternalIPAddress", "<NewExternalIPAddress>11.18.0.1</NewExternalIPAddress>"),
    "AddPortMapping": answer("AddPortMapping"),
    "DeletePortMapping": answer("DeletePortMapping"),
}


async def test_a_mapping_is_made_and_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with device(GOOD, monkeypatch) as gateway:
        assert await gateway.carry_out(ADD) == UpnpAdded(ADD, Endpoint.of("11.18.0.1", 41641))
        delete = UpnpDelete(2, 41641)
        assert await gateway.carry_out(delete) == UpnpDeleted(delete)


async def test_an_error_of_the_device_has_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    result = await tried(GOOD | {"AddPortMapping": FAULT}, monkeypatch)
    assert result == UpnpFailed(ADD, 718, "error 718")


async def test_a_device_that_names_no_address_maps_to_none(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = answer("GetExternalIPAddress", "<NewExternalIPAddress></NewExternalIPAddress>")
    result = await tried(GOOD | {"GetExternalIPAddress": nothing}, monkeypatch)
    assert result == UpnpAdded(ADD, Endpoint.of("0.0.0.0", 41641))


@pytest.mark.parametrize("page", ["/description.xml", "/scpd.xml", "GetExternalIPAddress", "AddPortMapping"])
@pytest.mark.parametrize(
    "body",
    [
        "",
        "<",
        "\0",
        "<root/>",
        '<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><r>&b;</r>',
        "<a>" * 20_000,
        "x" * (MAX_BODY_BYTES + 1),
        DESCRIPTION.replace("/scpd.xml", "http://127.0.0.1:9/scpd.xml"),
        SCPD.replace("AddPortMapping", "Other"),
        SCPD.replace("ui4", "nonsense"),
        "<device>".join([DESCRIPTION] * 3),
        answer("GetExternalIPAddress", "<NewExternalIPAddress>router.example</NewExternalIPAddress>"),
    ],
    ids=range(12),
)
async def test_whatever_a_device_answers_is_a_failure_without_a_code(
    page: str, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = await tried(GOOD | {page: body}, monkeypatch)
    assert isinstance(result, UpnpFailed)
    assert result.code is None
    assert result.reason


async def test_a_redirection_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(await tried(GOOD | {"/description.xml": "redirect"}, monkeypatch), UpnpFailed)


async def test_after_a_failure_the_device_is_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = dict(GOOD)
    async with device(pages, monkeypatch) as gateway:
        pages["AddPortMapping"] = "<"
        assert isinstance(await gateway.carry_out(ADD), UpnpFailed)
        pages["AddPortMapping"] = GOOD["AddPortMapping"]
        assert isinstance(await gateway.carry_out(ADD), UpnpAdded)


async def test_a_network_without_a_device_is_searched_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upnp_igd, "SEARCH_S", 0.1)
    assert await search(GATEWAY) is None


async def test_an_address_that_is_gone_finds_nothing() -> None:
    gateway = Gateway(GATEWAY.address, IPv4Address("198.51.100.1"))
    result = await InternetGateway(gateway).carry_out(ADD)
    assert result == UpnpFailed(ADD, None, "OSError")


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("http://192.168.7.1/d.xml", True),
        ("http://192.168.7.1:5000/d.xml", True),
        ("https://192.168.7.1/d.xml", False),
        ("http://192.168.7.10/d.xml", False),
        ("http://192.168.7.1@evil.example/d.xml", False),
        ("http://[192.168.7.1/", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
def test_only_the_gateways_own_urls_are_asked(url: str, fits: bool) -> None:
    gateway = Gateway(IPv4Address("192.168.7.1"), IPv4Address("192.168.7.11"))
    assert is_at(url, gateway) is fits


async def tried(pages: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> UpnpResult:
    async with device(pages, monkeypatch) as gateway:
        return await gateway.carry_out(ADD)


@asynccontextmanager
async def device(pages: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InternetGateway]:
    """Pages by their path, answers by the name of the action."""

    async def serve(request: web.Request) -> web.Response:
        name = request.headers.get("SOAPAction", "").strip('"').rpartition("#")[2] or request.path
        page = pages[name]
        if page == "redirect":
            raise web.HTTPFound("/elsewhere.xml")
        return web.Response(text=page, status=500 if page == FAULT else 200, content_type="text/xml")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, str(GATEWAY.address), 0)
    await site.start()
    port = runner.addresses[0][1]

    async def found(_gateway: Gateway) -> str:
        return f"http://{GATEWAY.address}:{port}/description.xml"

    monkeypatch.setattr(upnp_igd, "search", found)
    try:
        yield InternetGateway(GATEWAY)
    finally:
        await runner.cleanup()
