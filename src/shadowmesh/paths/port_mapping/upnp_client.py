"""How one mapping is asked for by UPnP IGD: what to do about a port that is taken, and a lease that is refused."""

from __future__ import annotations

from typing import ClassVar

from shadowmesh.paths.port_mapping.answers import Answer, AskAgain, Ended, Granted, Refused, Silent
from shadowmesh.paths.port_mapping.outside import is_no_address
from shadowmesh.paths.port_mapping.status import Gateway, MappingProtocol
from shadowmesh.paths.port_mapping.upnp import UpnpAdd, UpnpAdded, UpnpDelete, UpnpErrorCode, UpnpRequest, UpnpResult
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy

MAX_OTHER_PORTS = 3  # taken by chance once in hundreds; a router that refuses these refuses all
_LOWEST_PORT, _HIGHEST_PORT = 49152, 65535  # dynamic ports, RFC 6335 §6
PERMANENT_CHECK_S = 3600  # a mapping without a lease is looked after as if it had this one


class UpnpClient:
    PROTOCOL: ClassVar = MappingProtocol.UPNP
    TRIES_AT_S: ClassVar = (0.0,)  # the shell searches, and TCP repeats
    GIVE_UP_AFTER_S: ClassVar = 20.0  # longer than the shell takes: search, description and two calls

    def __init__(self, gateway: Gateway, port: int, entropy: Entropy) -> None:
        self._internal = Endpoint(gateway.local, port)
        self._entropy = entropy
        self._request: UpnpRequest | None = None
        self._serial = 0
        self._other_port: int | None = None
        self._other_ports_left = MAX_OTHER_PORTS
        self._is_permanent = False

    def begin(self) -> None:
        self._other_port = None
        self._other_ports_left = MAX_OTHER_PORTS

    def request(self, lifetime_s: int, wanted: Endpoint | int) -> UpnpAdd:
        port = wanted if isinstance(wanted, int) else wanted.port
        lease_s = 0 if self._is_permanent else lifetime_s
        self._serial += 1
        request = UpnpAdd(self._serial, self._internal, self._other_port or port, lease_s)
        self._request = request
        return request

    def release(self, external: Endpoint | int) -> UpnpDelete:
        self._serial += 1
        request = UpnpDelete(self._serial, external if isinstance(external, int) else external.port)
        self._request = request
        return request

    def receive(self, result: UpnpResult) -> Answer | None:
        """None: it answers nothing of ours, or an earlier request."""
        if result.request != self._request:
            return None
        self._request = None
        match result:
            case UpnpAdded(request, external):
                return _granted(request, external)
            case _ if isinstance(result.request, UpnpDelete):
                return Ended()
            case _:
                return self._failed(result.request, result.code, result.reason)

    def _failed(self, request: UpnpAdd, code: int | None, reason: str) -> Answer:
        if code is None:
            return Silent(reason)
        if code == UpnpErrorCode.CONFLICT_IN_MAPPING_ENTRY and self._other_ports_left:
            self._other_ports_left -= 1
            self._other_port = self._random_port()
            return AskAgain()
        if code in (UpnpErrorCode.ONLY_PERMANENT_LEASES_SUPPORTED, UpnpErrorCode.INVALID_ARGS) and request.lease_s:
            self._is_permanent = True
            return AskAgain()
        return Refused(reason)

    def _random_port(self) -> int:
        return _LOWEST_PORT + int.from_bytes(self._entropy(2), "big") % (_HIGHEST_PORT - _LOWEST_PORT + 1)


def _granted(request: UpnpAdd, external: Endpoint) -> Granted | Refused:
    if is_no_address(external.address):
        return Refused("the router has no outside address")
    return Granted(external, request.lease_s or PERMANENT_CHECK_S)
