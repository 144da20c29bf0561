"""What the machine asks of a UPnP Internet Gateway Device, and how the shell answers: the SOAP itself is I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from shadowmesh.wire.endpoint import Endpoint


class UpnpErrorCode(IntEnum):
    """Of WANIPConnection 1 and 2, those that we act upon."""

    INVALID_ARGS = 402  # some routers' word for a lease that they do not know how to keep
    CONFLICT_IN_MAPPING_ENTRY = 718
    ONLY_PERMANENT_LEASES_SUPPORTED = 725


@dataclass(frozen=True, slots=True)
class UpnpAdd:
    """AddPortMapping for UDP. Answered by UpnpAdded or UpnpFailed."""

    serial: int  # tells the answers apart
    internal: Endpoint
    external_port: int  # wanted
    lease_s: int  # 0: until it is deleted


@dataclass(frozen=True, slots=True)
class UpnpDelete:
    """DeletePortMapping. Answered by UpnpDeleted or UpnpFailed."""

    serial: int
    external_port: int


@dataclass(frozen=True, slots=True)
class UpnpAdded:
    request: UpnpAdd
    external: Endpoint


@dataclass(frozen=True, slots=True)
class UpnpDeleted:
    request: UpnpDelete


@dataclass(frozen=True, slots=True)
class UpnpFailed:
    """`code` is the device's UPnP error; None when no device was found, or it did not answer."""

    request: UpnpAdd | UpnpDelete
    code: int | None
    reason: str


UpnpRequest = UpnpAdd | UpnpDelete
UpnpResult = UpnpAdded | UpnpDeleted | UpnpFailed
