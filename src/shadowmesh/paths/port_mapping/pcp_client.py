"""How one mapping is asked for by PCP (RFC 6887). Section numbers are the RFC's."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import ClassVar

from shadowmesh.paths.port_mapping import nat_pmp, pcp
from shadowmesh.paths.port_mapping.answers import Answer, Ended, Granted, Refused
from shadowmesh.paths.port_mapping.epoch import EpochClock
from shadowmesh.paths.port_mapping.outside import is_no_address
from shadowmesh.paths.port_mapping.status import Gateway, MappingProtocol
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.transmit import Transmit


class PcpClient:
    PROTOCOL: ClassVar = MappingProtocol.PCP
    # Section 8.1.1 waits for 3 s and goes on for ever, made for servers far in a provider's network. Ours is one hop
    # away, and a node with a router that has no PCP shall not wait long for what comes next.
    TRIES_AT_S: ClassVar = (0.0, 1.0)
    GIVE_UP_AFTER_S: ClassVar = 2.0

    def __init__(self, gateway: Gateway, port: int, nonce: bytes) -> None:
        self._server = Endpoint(gateway.address, pcp.SERVER_PORT)
        self._local = gateway.local
        self._port = port
        self._nonce = nonce
        self._epoch = EpochClock()

    def begin(self) -> None:
        """There is one step."""

    def request(self, lifetime_s: int, wanted: Endpoint | int) -> Transmit:
        """`wanted`: the external endpoint that we had, or a port."""
        any_address = IPv4Address(0) if self._local.version == 4 else IPv6Address(0)
        port, address = (wanted, any_address) if isinstance(wanted, int) else (wanted.port, wanted.address)
        request = pcp.MapRequest(self._local, self._nonce, self._port, port, address, lifetime_s)
        return Transmit(request.encode(), self._server)

    def release(self, external: Endpoint | int) -> Transmit:
        """Section 15: the same with lifetime 0."""
        return self.request(0, external)

    def receive(self, data: bytes, now: float) -> Answer | None:
        """None: it answers nothing of ours. Raises DecodeError."""
        if data[:1] == bytes([nat_pmp.VERSION]):
            return _speaks_nat_pmp(data)
        response = pcp.decode_response(data)
        match response:
            case pcp.ErrorResponse():
                return self._refused(response, now)
            case pcp.MapResponse(nonce=self._nonce, internal_port=self._port):
                self._epoch.observe(response.epoch_s, now)
                return _granted(response)
            case _:
                return None

    def has_lost(self, announcement: bytes, now: float) -> bool:
        """Whether an ANNOUNCE (section 14.1.3) tells that the router has lost the mapping. Raises DecodeError."""
        response = pcp.decode_response(announcement)
        return isinstance(response, pcp.AnnounceResponse) and not self._epoch.observe(response.epoch_s, now)

    def _refused(self, response: pcp.ErrorResponse, now: float) -> Refused | None:
        # Section 8.3: an error without our nonce is somebody else's, unless the server could not read the request.
        unread = response.nonce is None and response.result == pcp.ResultCode.UNSUPP_VERSION
        if not unread and response.nonce != self._nonce:
            return None
        self._epoch.observe(response.epoch_s, now)
        return Refused(_name(response.result))


def _granted(response: pcp.MapResponse) -> Granted | Ended | Refused:
    if response.lifetime_s == 0:
        return Ended()
    if response.external_port == 0 or is_no_address(response.external_address):
        return Refused("the router has no outside address")
    return Granted(Endpoint(response.external_address, response.external_port), response.lifetime_s)


def _speaks_nat_pmp(data: bytes) -> Refused | None:
    """RFC 6886 §3.5, RFC 6887 §9: a NAT-PMP gateway answers so to what it does not know."""
    response = nat_pmp.decode_response(data)
    if isinstance(response, nat_pmp.ErrorResponse) and response.result == nat_pmp.ResultCode.UNSUPPORTED_VERSION:
        return Refused("the router speaks NAT-PMP")
    return None


def _name(result: int) -> str:
    return pcp.ResultCode(result).name if result in pcp.ResultCode._value2member_map_ else f"result {result}"
