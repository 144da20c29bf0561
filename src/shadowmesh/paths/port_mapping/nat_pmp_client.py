"""How one mapping is asked for by NAT-PMP (RFC 6886): first the outside address, then the port."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import ClassVar

from shadowmesh.paths.port_mapping import nat_pmp
from shadowmesh.paths.port_mapping.answers import Answer, AskAgain, Ended, Granted, Refused
from shadowmesh.paths.port_mapping.epoch import EpochClock
from shadowmesh.paths.port_mapping.outside import is_no_address
from shadowmesh.paths.port_mapping.status import Gateway, MappingProtocol
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.transmit import Transmit


class NatPmpClient:
    PROTOCOL: ClassVar = MappingProtocol.NAT_PMP
    # RFC 6886 §3.1 doubles nine times, up to two minutes: we stop after three, since the router was asked by PCP before
    # on the same port, and is asked anew later.
    TRIES_AT_S: ClassVar = (0.0, 0.25, 0.75)
    GIVE_UP_AFTER_S: ClassVar = 1.75

    def __init__(self, gateway: Gateway, port: int) -> None:
        self._server = Endpoint(gateway.address, nat_pmp.SERVER_PORT)
        self._port = port
        self._outside: IPv4Address | None = None
        self._epoch = EpochClock()
        self._asks_for_address = True

    def begin(self) -> None:
        self._asks_for_address = True

    def request(self, lifetime_s: int, wanted: Endpoint | int) -> Transmit:
        if self._asks_for_address:
            return Transmit(nat_pmp.AddressRequest().encode(), self._server)
        external_port = wanted if isinstance(wanted, int) else wanted.port
        return Transmit(nat_pmp.MapRequest(self._port, external_port, lifetime_s).encode(), self._server)

    def release(self, _external: Endpoint | int) -> Transmit:
        """RFC 6886 §3.4: external port and lifetime are 0."""
        self._asks_for_address = False
        return Transmit(nat_pmp.MapRequest(self._port, 0, 0).encode(), self._server)

    def receive(self, data: bytes, now: float) -> Answer | None:
        """None: it answers nothing of ours. Raises DecodeError."""
        response = nat_pmp.decode_response(data)
        asked = nat_pmp.Opcode.EXTERNAL_ADDRESS if self._asks_for_address else nat_pmp.Opcode.MAP_UDP
        match response:
            case nat_pmp.ErrorResponse(opcode=opcode, result=result) if opcode == asked:
                return Refused(_name(result))
            case nat_pmp.AddressResponse(epoch_s, address) if self._asks_for_address:
                self._epoch.observe(epoch_s, now)
                return self._address_known(address)
            case nat_pmp.MapResponse(internal_port=self._port) if not self._asks_for_address:
                self._epoch.observe(response.epoch_s, now)
                return self._mapped(response)
            case _:
                return None

    def has_lost(self, announcement: bytes, now: float) -> bool:
        """Whether an announcement (RFC 6886 §3.2.1) tells that the router lost the mapping, or its outside address.

        Raises DecodeError.
        """
        response = nat_pmp.decode_response(announcement)
        if not isinstance(response, nat_pmp.AddressResponse):
            return False
        return not self._epoch.observe(response.epoch_s, now) or response.address != self._outside

    def _address_known(self, address: IPv4Address) -> Answer:
        if is_no_address(address):
            return Refused("the router has no outside address")
        self._outside = address
        self._asks_for_address = False
        return AskAgain()

    def _mapped(self, response: nat_pmp.MapResponse) -> Answer | None:
        if response.lifetime_s == 0:
            return Ended()
        if self._outside is None:
            return None  # nothing but a release was asked
        return Granted(Endpoint(self._outside, response.external_port), response.lifetime_s)


def _name(result: int) -> str:
    return nat_pmp.ResultCode(result).name if result in nat_pmp.ResultCode._value2member_map_ else f"result {result}"
