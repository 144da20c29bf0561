"""SSDP, as far as it finds a gateway: UPnP Device Architecture 2.0, sections 1.3.2 and 1.3.3."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Self

from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError

SSDP_GROUP = Endpoint(IPv4Address("239.255.255.250"), 1900)
GATEWAY_TYPES = tuple(f"urn:schemas-upnp-org:device:InternetGatewayDevice:{version}" for version in (1, 2))
MAX_MESSAGE_BYTES = 1472  # one Ethernet frame: real answers have 300 to 600 bytes
_MAX_WAIT_S = 1  # MX: devices answer within


@dataclass(frozen=True, slots=True)
class Search:
    """M-SEARCH."""

    target: str  # one of GATEWAY_TYPES

    def encode(self) -> bytes:
        lines = [
            "M-SEARCH * HTTP/1.1",
            f"HOST: {SSDP_GROUP}",
            'MAN: "ssdp:discover"',
            f"MX: {_MAX_WAIT_S}",
            f"ST: {self.target}",
        ]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii")


@dataclass(frozen=True, slots=True)
class SearchResponse:
    """Where a device describes itself."""

    location: str
    target: str

    def encode(self) -> bytes:
        head = "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\n"
        return f"{head}ST: {self.target}\r\nLOCATION: {self.location}\r\n\r\n".encode("ascii")

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises DecodeError for what is not the answer to a search, and for one without a place."""
        if len(data) > MAX_MESSAGE_BYTES:
            raise DecodeError(f"SSDP: {len(data)} bytes, at most {MAX_MESSAGE_BYTES} allowed")
        try:
            status, *lines = data.decode("ascii").split("\r\n")
        except UnicodeDecodeError:
            raise DecodeError("SSDP: not ASCII") from None
        if status.split(" ")[:2] != ["HTTP/1.1", "200"]:
            raise DecodeError("SSDP: not the answer to a search")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        location, target = fields.get("location", ""), fields.get("st", "")
        if not location or not target:
            raise DecodeError("SSDP: an answer without LOCATION or ST")
        return cls(location, target)
