"""A port mapper and a router of our own on a virtual clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address

from tests.sim.chance import SeededEntropy

from shadowmesh.paths.port_mapping import nat_pmp, pcp
from shadowmesh.paths.port_mapping.port_mapper import PortMapper
from shadowmesh.paths.port_mapping.status import Gateway, MappingChanged, MappingProtocol, MappingState, MappingStatus
from shadowmesh.paths.port_mapping.upnp import UpnpAdd, UpnpAdded, UpnpDeleted, UpnpFailed, UpnpRequest
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.transmit import Transmit

GATEWAY = Gateway(IPv4Address("192.168.7.1"), IPv4Address("192.168.7.11"))
SERVER = Endpoint(GATEWAY.address, 5351)
PORT = 41641
OUTSIDE = IPv4Address("11.18.0.1")
ALL = tuple(MappingProtocol)


@dataclass(slots=True)
class Router:
    """What it speaks, and the external ports that it has given away, each with its end."""

    speaks: tuple[MappingProtocol, ...] = ALL
    outside: IPv4Address = OUTSIDE
    max_lifetime_s: int = 86_400
    port_offset: int = 0
    refuses: bool = False
    booted_at: float = 0.0
    mapped: dict[int, float] = field(default_factory=dict)

    def epoch_s(self, now: float) -> int:
        return int(now - self.booted_at)

    def reboot(self, now: float) -> None:
        self.booted_at = now
        self.mapped.clear()

    def answer(self, data: bytes, now: float) -> bytes | None:
        if data[0] == pcp.VERSION and MappingProtocol.PCP in self.speaks:
            return self._pcp(pcp.MapRequest.decode(data), now)
        if MappingProtocol.NAT_PMP not in self.speaks:
            return None
        if data[0] != nat_pmp.VERSION:
            return nat_pmp.ErrorResponse(1, nat_pmp.ResultCode.UNSUPPORTED_VERSION, self.epoch_s(now)).encode()
        if len(data) == nat_pmp.AddressRequest.SIZE:
            return nat_pmp.AddressResponse(self.epoch_s(now), self.outside).encode()
        return self._nat_pmp(nat_pmp.MapRequest.decode(data), now)

    def call(self, request: UpnpRequest, now: float) -> UpnpAdded | UpnpDeleted | UpnpFailed:
        if MappingProtocol.UPNP not in self.speaks:
            return UpnpFailed(request, None, "no device")
        if not isinstance(request, UpnpAdd):
            self.mapped.pop(request.external_port, None)
            return UpnpDeleted(request)
        external = self._map(request.external_port, request.lease_s, now)
        return UpnpAdded(request, Endpoint(self.outside, external))

    def _pcp(self, request: pcp.MapRequest, now: float) -> bytes:
        if self.refuses:
            error = pcp.ErrorResponse(1, pcp.ResultCode.NO_RESOURCES, 30, self.epoch_s(now), request.nonce)
            return error.encode()
        lifetime_s = min(request.lifetime_s, self.max_lifetime_s)
        external = self._map(request.external_port, lifetime_s, now)
        return pcp.MapResponse(
            request.nonce, request.internal_port, external, self.outside, lifetime_s, self.epoch_s(now)
        ).encode()

    def _nat_pmp(self, request: nat_pmp.MapRequest, now: float) -> bytes:
        lifetime_s = min(request.lifetime_s, self.max_lifetime_s)
        if lifetime_s == 0:
            self.mapped.clear()
            return nat_pmp.MapResponse(self.epoch_s(now), request.internal_port, 0, 0).encode()
        external = self._map(request.external_port, lifetime_s, now)
        return nat_pmp.MapResponse(self.epoch_s(now), request.internal_port, external, lifetime_s).encode()

    def _map(self, wanted: int, lifetime_s: int, now: float) -> int:
        port = wanted if wanted in self.mapped else wanted + self.port_offset
        if lifetime_s == 0:
            self.mapped.pop(port, None)
        else:
            self.mapped[port] = now + lifetime_s
        return port


class World:
    """The mapper's outputs are carried out at once, while the link is up."""

    def __init__(
        self, router: Router | None = None, *, protocols: tuple[MappingProtocol, ...] = ALL, seed: int = 7
    ) -> None:
        self.router = router or Router()
        self.mapper = PortMapper(GATEWAY, PORT, entropy=SeededEntropy(seed), protocols=protocols)
        self.now = 0.0
        self.link_is_up = True
        self.sent: list[tuple[float, Transmit | UpnpRequest]] = []
        self.changes: list[MappingStatus] = []

    @property
    def states(self) -> list[MappingState]:
        return [change.state for change in self.changes]

    def start(self) -> World:
        self.mapper.start(self.now)
        self.drain()
        return self

    def stop(self) -> None:
        self.mapper.stop(self.now)
        self.drain()

    def run_until(self, end: float) -> None:
        """From deadline to deadline."""
        while (due_at := self.mapper.next_timeout()) is not None and due_at <= end:
            assert due_at >= self.now
            self.now = due_at
            self.mapper.handle_timeout(self.now)
            self.drain()
            next_at = self.mapper.next_timeout()
            assert next_at is None or next_at > self.now
        self.now = end

    def drain(self) -> None:
        while (output := self.mapper.poll()) is not None:
            if isinstance(output, MappingChanged):
                self.changes.append(output.status)
                continue
            self.sent.append((self.now, output))
            if not self.link_is_up:
                continue
            if isinstance(output, Transmit):
                answer = self.router.answer(output.payload, self.now)
                if answer is not None:
                    self.mapper.receive_datagram(answer, SERVER, self.now)
            else:
                self.mapper.upnp_answered(self.router.call(output, self.now), self.now)
