"""Gets and keeps a mapping of our UDP port at one gateway. Spec: docs/spec/paths.md, section 8."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from shadowmesh.paths.port_mapping import pcp
from shadowmesh.paths.port_mapping.answers import Answer, AskAgain, Ended, Granted, Refused, Silent
from shadowmesh.paths.port_mapping.nat_pmp_client import NatPmpClient
from shadowmesh.paths.port_mapping.outside import Address, why_unreachable
from shadowmesh.paths.port_mapping.pcp_client import PcpClient
from shadowmesh.paths.port_mapping.schedule import MIN_INTERVAL_S, Tries, renewal_at
from shadowmesh.paths.port_mapping.status import Gateway, MappingChanged, MappingProtocol, MappingState, MappingStatus
from shadowmesh.paths.port_mapping.upnp import UpnpRequest, UpnpResult
from shadowmesh.paths.port_mapping.upnp_client import UpnpClient
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy, jitter
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.transmit import Transmit

LIFETIME_S = 3600  # a node that dies without a word leaves the mapping for an hour at most
MIN_LIFETIME_S = 30  # a router that grants less would be asked all the time
MAX_LIFETIME_S = 86_400  # RFC 6887 §15: a router that grants more may have restarted meanwhile
FIRST_PAUSE_S = 64.0  # after a power cut a router takes a minute or two
MAX_PAUSE_S = 1024.0  # MRT of RFC 6887 §8.1.1
MAX_LOSS_DELAY_S = 2.0  # a router that restarts is not asked by all its hosts in one moment
RELEASE_TRIES_AT_S = (0.0, 0.25, 0.5)
RELEASE_WITHIN_S = 0.9  # a node that stops does not wait longer

Output = Transmit | UpnpRequest | MappingChanged


class MappingDrop(Enum):
    MALFORMED = "port mapping: malformed"
    UNASKED = "port mapping: answer to nothing"
    STRANGER = "port mapping: not from the gateway"


class _Phase(Enum):
    IDLE = "not started"
    ASKING = "one protocol is being asked"
    MAPPED = "mapped"
    PAUSED = "no protocol gave a mapping"
    RELEASING = "the mapping is being given back"
    RELEASED = "over"


@dataclass(slots=True)
class _Mapping:
    external: Endpoint
    granted_at: float
    lifetime_s: int
    renew_at: float | None
    unanswered: int = 0

    @property
    def expires_at(self) -> float:
        return self.granted_at + self.lifetime_s


class PortMapper:
    """One gateway, one mapping. After each call: drain `poll()`, then read `next_timeout()`.

    Raises ValueError when none of the protocols suits the gateway.
    """

    def __init__(
        self,
        gateway: Gateway,
        port: int,
        *,
        entropy: Entropy,
        protocols: Sequence[MappingProtocol] = tuple(MappingProtocol),
        lifetime_s: int = LIFETIME_S,
    ) -> None:
        self._gateway = gateway
        self._server = Endpoint(gateway.address, pcp.SERVER_PORT)
        self._entropy = entropy
        self._lifetime_s = lifetime_s
        self._clients = _clients(gateway, port, entropy, protocols)
        if not self._clients:
            raise ValueError(f"no protocol of {protocols} for the gateway {gateway.address}")
        self._index = 0
        self._phase = _Phase.IDLE
        self._tries: Tries | None = None  # while asking and releasing
        self._mapping: _Mapping | None = None
        self._wanted: Endpoint | int = port  # what we had, rather than what we would like
        self._retry_at: float | None = None
        self._pause_s = FIRST_PAUSE_S
        self._refusals: list[str] = []
        self._failure = ""
        self._reflexive: tuple[Address, ...] = ()
        self._checked_at: float | None = None
        self._out: deque[Output] = deque()
        self._drops: Counter[str] = Counter()
        self._reported = self.status

    @property
    def status(self) -> MappingStatus:
        if self._phase in (_Phase.RELEASING, _Phase.RELEASED):
            return MappingStatus(self._gateway, MappingState.RELEASED)
        if self._mapping is None:
            state = MappingState.FAILED if self._failure else MappingState.SEARCHING
            return MappingStatus(self._gateway, state, reason=self._failure)
        external = self._mapping.external
        has_nat = external.address != self._gateway.local  # a firewall alone is opened, as with IPv6
        reason = why_unreachable(external.address, self._reflexive if has_nat else ())
        state = MappingState.DOUBLE_NAT if reason else MappingState.MAPPED
        protocol = self._client.PROTOCOL
        return MappingStatus(self._gateway, state, protocol, external, self._mapping.expires_at, reason)

    @property
    def is_over(self) -> bool:
        """After `stop`: the mapping is given back, or nobody answered in time."""
        return self._phase is _Phase.RELEASED

    def start(self, now: float) -> None:
        self._ask(0, now)

    def stop(self, now: float) -> None:
        """Gives the mapping back, within 0.9 s. The machine is of no use afterwards."""
        if self._phase in (_Phase.RELEASING, _Phase.RELEASED):
            return
        is_asking = self._phase is _Phase.ASKING and not isinstance(self._client, UpnpClient)
        if self._mapping is None and not is_asking:
            self._phase = _Phase.RELEASED
        else:  # an answer may be on its way; by UPnP we would end somebody else's mapping if it were refused
            self._phase = _Phase.RELEASING
            at_s = (0.0,) if isinstance(self._client, UpnpClient) else RELEASE_TRIES_AT_S
            self._tries = Tries(at_s, RELEASE_WITHIN_S, now)
        self._advance(now)

    def check(self, now: float) -> None:
        """Something has changed on our network, and the gateway is the same: asks it whether the mapping is there."""
        if self._phase is _Phase.PAUSED:
            self._pause_s = FIRST_PAUSE_S
            self._ask(0, now)
        elif self._phase is _Phase.MAPPED and (self._checked_at is None or now >= self._checked_at + MIN_INTERVAL_S):
            self._checked_at = now
            self._send_renewal()

    def set_reflexive(self, addresses: Sequence[Address]) -> None:
        """How servers on the internet see us; empty: unknown."""
        self._reflexive = tuple(addresses)
        self._report()

    def receive_datagram(self, data: bytes, source: Endpoint, now: float) -> None:
        """An answer to what came from our port to the gateway."""
        if source != self._server:
            self._drops[MappingDrop.STRANGER.value] += 1
            return
        client = self._client
        if isinstance(client, UpnpClient) or self._phase not in (_Phase.ASKING, _Phase.MAPPED, _Phase.RELEASING):
            self._drops[MappingDrop.UNASKED.value] += 1
            return
        try:
            answer = client.receive(data, now)
        except DecodeError:
            self._drops[MappingDrop.MALFORMED.value] += 1
            return
        self._answered(answer, now)

    def receive_announcement(self, data: bytes, source: Endpoint, now: float) -> None:
        """What came to 224.0.0.1 or ff02::1, port 5350."""
        if source != self._server:
            self._drops[MappingDrop.STRANGER.value] += 1
            return
        client = self._client
        if isinstance(client, UpnpClient) or self._phase is not _Phase.MAPPED:
            return
        try:
            lost = client.has_lost(data, now)
        except DecodeError:  # a router that speaks both protocols announces itself in both
            return
        if lost:
            delay_s = jitter(self._entropy, 0.0, MAX_LOSS_DELAY_S)
            self._lose("the router says that it lost the mapping", now + delay_s, now)

    def gateway_unreachable(self, now: float) -> None:
        """ICMP says that nobody listens on the gateway's port 5351: neither by PCP nor by NAT-PMP."""
        if self._phase is _Phase.RELEASING:
            self._phase = _Phase.RELEASED
        elif self._phase is _Phase.ASKING and not isinstance(self._client, UpnpClient):
            self._refusals.append("PCP and NAT-PMP: the router's port 5351 is closed")
            remaining = range(self._index, len(self._clients))
            upnp = (index for index in remaining if isinstance(self._clients[index], UpnpClient))
            self._ask(next(upnp, len(self._clients)), now)
        self._advance(now)

    def upnp_answered(self, result: UpnpResult, now: float) -> None:
        client = self._client
        answer = client.receive(result) if isinstance(client, UpnpClient) else None
        self._answered(answer, now)

    def handle_timeout(self, now: float) -> None:
        self._advance(now)

    def next_timeout(self) -> float | None:
        match self._phase:
            case _Phase.ASKING | _Phase.RELEASING if self._tries is not None:
                return self._tries.due_at
            case _Phase.MAPPED if self._mapping is not None:
                renew_at, expires_at = self._mapping.renew_at, self._mapping.expires_at
                return expires_at if renew_at is None else min(renew_at, expires_at)
            case _Phase.PAUSED:
                return self._retry_at
            case _:
                return None

    def poll(self) -> Output | None:
        return self._out.popleft() if self._out else None

    @property
    def drops(self) -> Mapping[str, int]:
        return self._drops

    @property
    def _client(self) -> PcpClient | NatPmpClient | UpnpClient:
        return self._clients[self._index]

    def _ask(self, index: int, now: float) -> None:
        """Begins with the protocol of this index; behind the last one it gives up for a while."""
        if index == 0:
            self._refusals.clear()
        if index >= len(self._clients):
            self._pause(now)
            return
        self._index = index
        self._phase = _Phase.ASKING
        self._client.begin()
        self._begin_tries(now)
        self._advance(now)

    def _begin_tries(self, now: float) -> None:
        self._tries = Tries(self._client.TRIES_AT_S, self._client.GIVE_UP_AFTER_S, now)

    def _pause(self, now: float) -> None:
        self._phase = _Phase.PAUSED
        self._failure = "; ".join(self._refusals)
        self._retry_at = now + self._pause_s * jitter(self._entropy, 0.9, 1.1)
        self._pause_s = min(2 * self._pause_s, MAX_PAUSE_S)
        self._report()

    def _lose(self, reason: str, retry_at: float, now: float) -> None:
        self._mapping = None
        self._failure = reason
        self._phase = _Phase.PAUSED
        self._retry_at = retry_at
        self._advance(now)

    def _answered(self, answer: Answer | None, now: float) -> None:
        match self._phase, answer:
            case (_Phase.RELEASING, Ended() | Refused() | Silent()):
                self._phase = _Phase.RELEASED
            case (_Phase.ASKING | _Phase.MAPPED, Granted()):
                self._grant(answer, now)
            case (_Phase.ASKING, AskAgain()):
                self._begin_tries(now)
            case (_Phase.MAPPED, AskAgain()):
                self._out.append(self._client.request(self._lifetime_s, self._wanted))
            case (_Phase.ASKING, Refused(reason) | Silent(reason)):
                self._give_up(reason, now)
            case (_Phase.ASKING, Ended()):
                self._give_up("the router ends what we ask for", now)
            case (_Phase.MAPPED, Refused(reason)):
                self._lose(f"{self._client.PROTOCOL.value}: {reason}", now, now)
            case (_Phase.MAPPED, Silent()):
                pass  # as without an answer: the next renewal follows
            case _:
                self._drops[MappingDrop.UNASKED.value] += 1
        self._advance(now)

    def _grant(self, granted: Granted, now: float) -> None:
        if granted.lifetime_s < MIN_LIFETIME_S:
            self._give_up(f"the router grants {granted.lifetime_s} s only", now)
            return
        lifetime_s = min(granted.lifetime_s, MAX_LIFETIME_S)
        renew_at = renewal_at(now, lifetime_s, 0, self._entropy)
        self._mapping = _Mapping(granted.external, now, lifetime_s, renew_at)
        self._wanted = granted.external
        self._phase = _Phase.MAPPED
        self._failure = ""
        self._pause_s = FIRST_PAUSE_S

    def _give_up(self, reason: str, now: float) -> None:
        self._mapping = None
        self._refusals.append(f"{self._client.PROTOCOL.value}: {reason}")
        self._ask(self._index + 1, now)

    def _advance(self, now: float) -> None:
        match self._phase:
            case _Phase.ASKING | _Phase.RELEASING if self._tries is not None and now >= self._tries.due_at:
                self._try(self._tries, now)
            case _Phase.MAPPED if self._mapping is not None:
                self._keep(self._mapping, now)
            case _Phase.PAUSED if self._retry_at is not None and now >= self._retry_at:
                self._ask(0, now)
            case _:
                pass
        self._report()

    def _try(self, tries: Tries, now: float) -> None:
        if not tries.is_used_up:
            tries.count(now)
            is_asking = self._phase is _Phase.ASKING
            client, lifetime_s, wanted = self._client, self._lifetime_s, self._wanted
            self._out.append(client.request(lifetime_s, wanted) if is_asking else client.release(wanted))
        elif self._phase is _Phase.ASKING:
            self._give_up("no answer", now)
        else:
            self._phase = _Phase.RELEASED

    def _keep(self, mapping: _Mapping, now: float) -> None:
        if now >= mapping.expires_at:
            self._lose(f"{self._client.PROTOCOL.value}: the router stopped answering", now, now)
        elif mapping.renew_at is not None and now >= mapping.renew_at:
            self._send_renewal()
            while mapping.renew_at is not None and mapping.renew_at <= now:  # we may be late for several
                mapping.unanswered += 1
                entropy = self._entropy
                mapping.renew_at = renewal_at(mapping.granted_at, mapping.lifetime_s, mapping.unanswered, entropy)

    def _send_renewal(self) -> None:
        self._client.begin()
        self._out.append(self._client.request(self._lifetime_s, self._wanted))

    def _report(self) -> None:
        status = self.status
        if replace(status, expires_at=None) != replace(self._reported, expires_at=None):
            self._out.append(MappingChanged(status))
        self._reported = status


def _clients(
    gateway: Gateway, port: int, entropy: Entropy, protocols: Sequence[MappingProtocol]
) -> tuple[PcpClient | NatPmpClient | UpnpClient, ...]:
    """In the order in which they are asked. IPv6 has no NAT-PMP, and UPnP's pinholes are not used."""
    pcp_client = PcpClient(gateway, port, entropy(pcp.NONCE_BYTES))
    if gateway.address.version == 6:
        ordered: tuple[PcpClient | NatPmpClient | UpnpClient, ...] = (pcp_client,)
    else:
        ordered = (pcp_client, NatPmpClient(gateway, port), UpnpClient(gateway, port, entropy))
    return tuple(client for client in ordered if client.PROTOCOL in protocols)
