"""What `ip -json` prints, as values."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shadowmesh.lab.errors import LabError


@dataclass(frozen=True, slots=True)
class Counters:
    """What one interface has carried since it was made. Bytes include the Ethernet header."""

    rx_bytes: int
    rx_packets: int
    tx_bytes: int
    tx_packets: int


@dataclass(frozen=True, slots=True)
class Device:
    """One network interface."""

    name: str
    mtu: int  # bytes
    up: bool  # set up by the administrator; says nothing about the cable
    carrier: bool


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """One unicast route, comparable, so that tests can tell that a program put back what it found."""

    destination: str  # "default", a prefix or an address
    device: str
    gateway: str
    table: str
    metric: int


def counters(text: str) -> dict[str, Counters]:
    """By interface name, from `ip -json -stats link`. Raises `LabError` if it is something else."""
    return {
        link["ifname"]: Counters(
            rx_bytes=link["stats64"]["rx"]["bytes"],
            rx_packets=link["stats64"]["rx"]["packets"],
            tx_bytes=link["stats64"]["tx"]["bytes"],
            tx_packets=link["stats64"]["tx"]["packets"],
        )
        for link in _objects(text, "ifname", "stats64")
    }


def devices(text: str) -> tuple[Device, ...]:
    """From `ip -json link`, in the kernel's order. Raises `LabError` if it is something else."""
    return tuple(
        Device(
            name=link["ifname"],
            mtu=link["mtu"],
            up="UP" in link["flags"],
            carrier="LOWER_UP" in link["flags"],
        )
        for link in _objects(text, "ifname", "mtu", "flags")
    )


def routes(text: str) -> tuple[Route, ...]:
    """From `ip -json route show table all`, sorted, without the kernel's own (local, broadcast, multicast).

    Raises `LabError` if it is something else.
    """
    return tuple(
        sorted(
            Route(
                destination=route["dst"],
                device=route.get("dev", ""),
                gateway=route.get("gateway", ""),
                table=str(route.get("table", "main")),
                metric=route.get("metric", 0),
            )
            for route in _objects(text, "dst")
            if route.get("type", "unicast") == "unicast" and route.get("table") != "local"
        )
    )


def _objects(text: str, *required: str) -> Iterator[dict[str, Any]]:
    try:
        values = json.loads(text or "[]")
    except ValueError as error:
        raise LabError(f"ip printed no JSON: {error}") from error
    for value in values:
        if not value:
            continue  # some versions of iproute2 print {} for what a filter left out
        missing = [key for key in required if key not in value]
        if missing:
            raise LabError(f"ip printed an object without {', '.join(missing)}")
        yield value
