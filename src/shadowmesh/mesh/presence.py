"""Where we can be reached, and what we publish of it. Spec: docs/spec/mesh.md, section 6."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from logging import ERROR

from shadowmesh.mesh.calls import OwnAddresses
from shadowmesh.mesh.outputs import Notice
from shadowmesh.mesh.own_record import OwnRecord
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.classification import Observation
from shadowmesh.paths.events import NatChanged, PortsReleased, PortsWanted, ReflexiveChanged
from shadowmesh.paths.nat_discovery import NatDiscovery
from shadowmesh.records.hints import MAX_HINT_ENDPOINTS
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.open_ids import OpenIds
from shadowmesh.wire.transmit import Transmit

DOUBT_INTERVAL_S = 2.0  # between questions to all STUN servers while a path is silent


@dataclass(frozen=True, slots=True)
class EndpointsChanged:
    """`OwnPresence.addresses` and `.hints` are others than before."""


@dataclass(frozen=True, slots=True)
class RecordRenewed:
    """Save its sequence number, then use it."""


PresenceOutput = Transmit | EndpointsChanged | RecordRenewed | PortsWanted | PortsReleased | Notice


class OwnPresence:
    """After each call: drain `poll()`, then read `next_timeout()`."""

    def __init__(self, own_record: OwnRecord, *, public: bool, entropy: Entropy, ids: OpenIds) -> None:
        """Owns the record. `public`: our addresses are for everybody, and our NAT mapping is kept open."""
        self._own_record = own_record
        self._public = public
        self._nat = NatDiscovery(entropy=entropy, ids=ids)
        self._host: tuple[Endpoint, ...] = ()
        self._looked = False  # at our own addresses
        self._connecting: bool | None = None
        self._mapped: Endpoint | None = None
        self._out: deque[PresenceOutput] = deque()

    @property
    def addresses(self) -> OwnAddresses:
        """For trusted peers. What is outside of our NAT comes first: a far peer needs it, and a near one tries all."""
        kinds = dict.fromkeys(reversed(self._host), CandidateKind.HOST)
        kinds |= {endpoint: CandidateKind.SERVER_REFLEXIVE for endpoint in self._outside if endpoint not in kinds}
        if self._mapped is not None:
            kinds[self._mapped] = CandidateKind.MAPPED
        candidates = [Candidate(kind, endpoint) for endpoint, kind in kinds.items()]
        return OwnAddresses(tuple(reversed(candidates)), self._nat.behaviour)

    @property
    def reflexive(self) -> tuple[Endpoint, ...]:
        return self._nat.endpoints

    @property
    def _outside(self) -> tuple[Endpoint, ...]:
        """As others see us, the best last. Where each observer sees another port, the newest one tells where a NAT that
        counts stands; one of the main port leads to it through a NAT that filters nothing."""
        seen = tuple(reversed(self._nat.endpoints))
        if not self._nat.behaviour.is_hard:
            return seen
        chosen = [each for each in seen if each.address.version == 6]
        chosen += [each for each in seen if each.address.version == 4][:1]
        if self._nat.behaviour.is_predictable and self._nat.newest is not None:
            chosen = [each for each in chosen if each != self._nat.newest] + [self._nat.newest]
        return tuple(chosen)

    @property
    def hints(self) -> tuple[Endpoint, ...]:
        """For everybody: none of a PRIVATE node."""
        return self._own_record.publishable[:MAX_HINT_ENDPOINTS]

    def set_servers(self, servers: Sequence[Endpoint], now: float) -> None:
        self._nat.set_servers(servers, now)
        self._advance(now)

    def set_host_endpoints(self, endpoints: Sequence[Endpoint], now: float) -> bool:
        """True when they were others before, or none: the network has changed under our sessions."""
        chosen = tuple(dict.fromkeys(endpoints))
        moved, self._looked = self._looked, True
        if chosen == self._host:
            return False
        self._host = chosen
        self._nat.set_own_addresses([endpoint.address for endpoint in chosen], now)
        if moved:
            self.network_changed(now)
        else:
            self._endpoints_changed()
            self._advance(now)
        return moved

    def network_changed(self, now: float) -> None:
        """Nothing that was learnt through the old one counts."""
        self._mapped = None
        self._nat.network_changed(now)
        self._endpoints_changed()
        self._advance(now)

    def set_connecting(self, connecting: bool, now: float) -> None:
        """While a peer is being called it must find our NAT mapping open."""
        if connecting is self._connecting:
            return
        self._connecting = connecting
        self._nat.keep_fresh(self._public or connecting, now)
        self._advance(now)

    def doubt(self, now: float) -> None:
        """A path is silent: our NAT may have given us another mapping."""
        self._nat.refresh(now, max_age_s=DOUBT_INTERVAL_S)
        self._advance(now)

    def set_mapped(self, endpoint: Endpoint | None, now: float) -> None:
        """What our router has opened for us."""
        if endpoint != self._mapped:
            self._mapped = endpoint
            self._endpoints_changed()
            self._advance(now)

    @property
    def servers(self) -> tuple[Endpoint, ...]:
        """Who is asked what our NAT does."""
        return self._nat.servers

    @property
    def observations(self) -> tuple[Observation, ...]:
        return self._nat.observations

    @property
    def is_asking(self) -> bool:
        return self._nat.is_asking

    def check_again(self, now: float) -> None:
        """Somebody wants to know what our NAT does now."""
        self._nat.check_again(now)
        self._advance(now)

    def ports_opened(self, ports: Sequence[int], now: float) -> None:
        """The answer to PortsWanted of `peer` None."""
        self._nat.ports_opened(ports, now)
        self._advance(now)

    @property
    def is_sampling(self) -> bool:
        return self._nat.is_sampling

    def sample(self, now: float) -> None:
        """Behind a NAT that counts, `addresses` soon says where it stands now."""
        self._nat.sample(now)
        self._advance(now)

    def outdo(self, sequence: int, now: float) -> None:
        """Somebody holds a record of ours with this number."""
        self._renew(now, above=sequence)

    def receive_stun(self, data: bytes, source: Endpoint, via: int, now: float) -> None:
        self._nat.receive_datagram(data, source, via, now)
        self._advance(now)

    def handle_timeout(self, now: float) -> None:
        self._nat.handle_timeout(now)
        self._advance(now)

    def next_timeout(self) -> float:
        nat_at = self._nat.next_timeout()
        record_at = self._own_record.next_timeout()
        return record_at if nat_at is None else min(nat_at, record_at)

    def poll(self) -> PresenceOutput | None:
        return self._out.popleft() if self._out else None

    @property
    def drops(self) -> Mapping[str, int]:
        return self._nat.drops

    def _advance(self, now: float) -> None:
        while (output := self._nat.poll()) is not None:
            match output:
                case ReflexiveChanged() | NatChanged():
                    self._endpoints_changed()
                case _:
                    self._out.append(output)
        if self._own_record.is_due(now):
            self._renew(now)

    def _endpoints_changed(self) -> None:
        self._own_record.set_endpoints([candidate.endpoint for candidate in self.addresses.candidates])
        self._out.append(EndpointsChanged())

    def _renew(self, now: float, *, above: int = 0) -> None:
        try:
            self._own_record.renew(now, above=above)
        except ValueError as error:
            self._out.append(Notice(ERROR, f"our record can't be renewed: {error}"))
        else:
            self._out.append(RecordRenewed())
